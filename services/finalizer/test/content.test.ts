import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BlobStore, MemoryBlobStore } from '@longtake/blob'
import type { FileFault, FileState } from '@longtake/contracts'
import { finalize, type FoundInFile } from '../src/finalize.ts'
import { chooseBlocks, ContentReader } from '../src/read-content.ts'
import { type Change, mediaFile, type MediaFile } from './media-file.ts'
import { DecayingStore, NOW, Recording } from './recording.ts'

const never = new AbortController().signal

async function recorded({ blocks, durationMs, stated }: MediaFile, store = new MemoryBlobStore()) {
  const recording = new Recording(store, 's1')
  await recording.commitFile('webcam', blocks, durationMs, stated)
  recording.finish('webcam')
  return { store, recording }
}

/** What is found in this file; nothing where it is finalized. */
async function found(file: MediaFile, kept = new MemoryBlobStore()): Promise<FileFault[]> {
  const { store, recording } = await recorded(file, kept)
  const result = await finalize(store, new ContentReader(store), recording.state, NOW, never)
  if (result.outcome === 'finalized') return []
  return result.outcome === 'differs' ? result.found.flatMap(({ faults }) => faults) : assert.fail(result.outcome)
}
const causes = (faults: readonly FileFault[]): string[] => [...new Set(faults.map(({ cause }) => cause))]

test('given a file that is what its status says, then nothing is found in it', async () => {
  assert.deepEqual(await found(mediaFile()), [])
})

test('given frames that are stated and are not in the file, then they are found to be missing, of whichever kind', async () => {
  const without = (track: number): Promise<FileFault[]> =>
    found(mediaFile({ keeps: (frame) => frame.track !== track || frame.timeMs < 5_000 || frame.timeMs > 6_000 || (track === 1 && frame.key) }))
  const [video, audio] = [await without(1), await without(2)]
  assert.deepEqual([causes(video), causes(audio)], [['wrong-frames'], ['wrong-frames']])
  assert.match(video[0]!.detail, /28\d video frames in the file, 300 in the status/)
  assert.match(audio[0]!.detail, /23\d audio frames in the file, 250 in the status/)
})

test('given a file that ends earlier than stated, then the time that is missing is named', async () => {
  const faults = await found(mediaFile({ keeps: ({ timeMs }) => timeMs < 9_000 }))
  assert.ok(causes(faults).includes('wrong-span'))
  const { startMs, endMs } = faults.find(({ cause }) => cause === 'wrong-span')!
  assert.ok(startMs! > 8_000 && startMs! < 9_000 && endMs! > 14_900, `${startMs}–${endMs}`)
})

test('given a header with another duration, then its span is wrong', async () => {
  assert.deepEqual(causes(await found(mediaFile({ durationMs: 60_000 }))), ['wrong-span'])
})

test('given an index that points beside its frames, then it is wrong from where that begins', async () => {
  const faults = await found(mediaFile({ cues: (cue) => (cue.timeMs < 5_000 ? cue : { ...cue, clusterOffset: cue.clusterOffset + 7 }) }))
  assert.deepEqual(causes(faults), ['wrong-index'])
  assert.ok(faults[0]!.startMs! >= 5_000)
  assert.deepEqual(causes(await found(mediaFile({ cues: (cue) => ({ ...cue, timeMs: cue.timeMs + 1 }) }))), ['wrong-index'])
})

test('given a block of other bytes, then it is unreadable, with the time that it stands for', async () => {
  const [fault] = await found(mediaFile({ clusters: (bytes, i) => (i === 3 ? new Uint8Array(bytes.length).fill(7) : bytes) }))
  assert.equal(fault!.cause, 'unreadable')
  assert.ok(fault!.startMs! >= 3_000 && fault!.endMs! <= 10_000 && fault!.startMs! < fault!.endMs!, `${fault!.startMs}–${fault!.endMs}`)
})

test('given one bit of a frame that changed in storage, then its block is unreadable, with the time that it stands for', async () => {
  const [fault, ...others] = await found(mediaFile(), new DecayingStore(4))
  assert.equal(fault!.cause, 'unreadable')
  assert.match(fault!.detail, /not those that were written/)
  assert.ok(fault!.startMs! < fault!.endMs! && fault!.endMs! < 15_000, `${fault!.startMs}–${fault!.endMs}`)
  assert.deepEqual(others, [])
})

test('given one bit of a header that changed in storage, then all of the file is unreadable', async () => {
  const faults = await found(mediaFile(), new DecayingStore(0))
  assert.ok(faults.some(({ startMs, cause, detail }) => startMs === null && cause === 'unreadable' && /first block/.test(detail)))
})

test('given a first block that is no header, then all of the file is unreadable', async () => {
  const file = mediaFile()
  assert.deepEqual(await found({ ...file, blocks: [new Uint8Array(file.blocks[0]!.length), ...file.blocks.slice(1)] }), [{ startMs: null, endMs: null, cause: 'unreadable', detail: 'its first block is no header' }])
})

test('given a file without a frame, then all of it is wrong, also where its frames were not counted', async () => {
  const uncounted = { video: { frames: null, lastMs: null }, audio: { frames: null, lastMs: null } }
  const empty = mediaFile({ keeps: () => false })
  for (const media of [empty.stated.media!, uncounted]) {
    assert.ok(causes(await found({ ...empty, stated: { ...empty.stated, media } })).includes('wrong-span'))
  }
})

test('given a status of a version that did not count frames, then its file is finalized as it is', async () => {
  const { media: _media, ...stated } = mediaFile().stated
  assert.deepEqual(await found({ ...mediaFile({ durationMs: 60_000 }), stated }), [])
  const uncounted = { video: { frames: null, lastMs: null }, audio: { frames: null, lastMs: null } }
  assert.deepEqual(await found({ ...mediaFile({ keeps: ({ key }) => key }), stated: { ...mediaFile().stated, media: uncounted } }), [])
})

test('what was found makes the next version, which is finalized with it and not looked at again', async () => {
  const { store, recording } = await recorded(mediaFile({ durationMs: 60_000 }))
  assert.equal(recording.state.status, 'complete')
  const first = await finalize(store, new ContentReader(store), recording.state, NOW, never)
  assert.ok(first.outcome === 'differs')
  const tell = (found: readonly FoundInFile[]): void => found.forEach((one) => void recording.fold({ type: 'file-verified', session: 's1', at: new Date(NOW).toISOString(), ...one }))
  tell(first.found)
  assert.deepEqual([recording.state.status, recording.state.version], ['complete-with-gaps', 2])
  assert.deepEqual(recording.state.gaps.map(({ from, to, kind, state, cause }) => [from, to, kind, state, cause]), [[0, 4, 'undecodable', 'confirmed', 'wrong-span']])
  const second = await finalize(store, new ContentReader(store), recording.state, NOW, never)
  assert.equal(second.outcome, 'finalized')
  const manifest = JSON.parse((await store.readAll('s1/manifests/2.json'))!.bytes.toString())
  assert.deepEqual([manifest.status, manifest.gaps.length, manifest.tracks.webcam.files.length], ['complete-with-gaps', 1, 1])
  // Said once more, it changes nothing.
  const before = recording.state.tracks
  tell(first.found)
  assert.equal(recording.state.tracks, before)
})

test('a later commit without the fault takes the gap back, and one that has it still makes no other version', async () => {
  const bad = mediaFile({ durationMs: 60_000 })
  const { store, recording } = await recorded(bad)
  const round = async (): Promise<string> => {
    const result = await finalize(store, new ContentReader(store), recording.state, NOW, never)
    if (result.outcome === 'differs') for (const one of result.found) recording.fold({ type: 'file-verified', session: 's1', at: new Date(NOW).toISOString(), ...one })
    return result.outcome
  }
  assert.deepEqual([await round(), await round(), recording.state.version], ['differs', 'finalized', 2])
  await recording.commitFile('webcam', bad.blocks, bad.durationMs, bad.stated)
  assert.deepEqual([await round(), await round(), recording.state.version], ['differs', 'finalized', 2])
  await recording.commitFile('webcam', mediaFile().blocks, bad.durationMs, bad.stated)
  assert.deepEqual([await round(), recording.state.gaps, recording.state.status, recording.state.version], ['differs', [], 'complete', 3])
  assert.equal(await round(), 'finalized')
})

test('a blob that is gone or was changed is reported as such, and left out of the manifest', async () => {
  for (const [cause, harm] of [
    ['file-missing', (store: MemoryBlobStore, { blob }: FileState) => store.delete(blob)],
    ['file-changed', (store: MemoryBlobStore, { blob }: FileState) => store.put(blob, Buffer.from('other'), { contentType: 'video/webm', metadata: { number: '1', commitid: 'webcam-commit-1' } })],
  ] as const) {
    const { store, recording } = await recorded(mediaFile())
    await harm(store, recording.state.tracks.webcam!.files[0]!)
    const result = await finalize(store, new ContentReader(store), recording.state, NOW, never)
    assert.ok(result.outcome === 'differs')
    for (const one of result.found) recording.fold({ type: 'file-verified', session: 's1', at: new Date(NOW).toISOString(), ...one })
    assert.deepEqual(recording.state.gaps.map(({ from, to, kind, cause: why }) => [from, to, kind, why]), [[0, 4, 'undecodable', cause]])
    assert.equal((await finalize(store, new ContentReader(store), recording.state, NOW, never)).outcome, 'finalized')
    const manifest = JSON.parse((await store.readAll('s1/manifests/2.json'))!.bytes.toString())
    assert.deepEqual([manifest.status, manifest.tracks.webcam.files, manifest.gaps.length], ['complete-with-gaps', [], 1])
  }
})

test('of a long file a bounded share is read: its ends, and blocks spread over it', () => {
  const mib = 1024 * 1024
  assert.deepEqual(chooseBlocks([3, 5, 1]), [0, 1, 2])
  assert.deepEqual(chooseBlocks(Array.from({ length: 30 }, () => 270_000)), [0, 6, 12, 17, 23, 29])
  assert.deepEqual(chooseBlocks(Array.from({ length: 180 }, () => 2 * mib)), [0, 60, 119, 179])
  assert.deepEqual(chooseBlocks([10 * mib, mib, 10 * mib]), [0, 2])
  assert.deepEqual(chooseBlocks([]), [])
})

/** Two minutes and 8 MB. */
const long = (change: Change = {}): MediaFile => mediaFile({ times: 8, clustersOfBlock: 2, ...change })

/** The same store, and how many bytes each of its reads asked for. */
function counted(store: MemoryBlobStore): { store: BlobStore; reads: number[] } {
  const reads: number[] = []
  const counting = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        if (name === 'readRange') reads.push((args[1] as { count: number }).count)
        return (value as (...args: unknown[]) => unknown).apply(target, args)
      }
    },
  })
  return { store: counting, reads }
}

test('a short file is read by one request, a long one by few', async () => {
  for (const [file, requests, mostBytes] of [[mediaFile(), 1, 1.1e6], [long(), 6, 2e6]] as const) {
    const { store: inner, recording } = await recorded(file)
    const { store, reads } = counted(inner)
    assert.equal((await finalize(store, new ContentReader(store), recording.state, NOW, never)).outcome, 'finalized')
    const bytes = reads.reduce((sum, count) => sum + count, 0)
    assert.ok(reads.length === requests && bytes < mostBytes, `${reads.length} reads of ${bytes} bytes`)
  }
})

const overwritten = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes.length).fill(7)

test('given a long file, then what is wrong with its ends, its span or its index is found as in a short one', async () => {
  const cases: Record<string, [Change, FileFault['cause'][]]> = {
    sound: [{}, []],
    'small blocks': [{ clustersOfBlock: 1 }, []],
    'one block': [{ clustersOfBlock: 100 }, []],
    'another duration': [{ durationMs: 60_000 }, ['wrong-span']],
    'an earlier end': [{ keeps: ({ timeMs }) => timeMs < 100_000 }, ['wrong-span']],
    'an earlier end of one kind': [{ keeps: ({ timeMs, track }) => track !== 2 || timeMs < 100_000 }, ['wrong-span']],
    'a later start': [{ keeps: ({ timeMs }) => timeMs > 20_000 }, ['wrong-span']],
    'other bytes at the start': [{ clusters: (bytes, i) => (i === 0 ? overwritten(bytes) : bytes) }, ['unreadable']],
    'other bytes at the end': [{ clusters: (bytes, i, count) => (i === count - 1 ? overwritten(bytes) : bytes) }, ['unreadable']],
    'other bytes in a good part': [{ clusters: (bytes, i, count) => (i > count * 0.3 && i < count * 0.7 ? overwritten(bytes) : bytes) }, ['unreadable']],
    'an index that is shifted from some place on': [{ cues: (cue) => (cue.timeMs < 40_000 ? cue : { ...cue, clusterOffset: cue.clusterOffset + 7 }) }, ['wrong-index']],
    'an index with other times': [{ cues: (cue) => ({ ...cue, timeMs: cue.timeMs + 1 }) }, ['wrong-index']],
  }
  for (const [name, [change, expected]] of Object.entries(cases)) assert.deepEqual(causes(await found(long(change))), expected, name)
})

test('a commit whose content was found to be sound is not read again, by another attempt or for another version', async () => {
  const { store: inner, recording } = await recorded(mediaFile())
  const { store, reads } = counted(inner)
  const contents = new ContentReader(store)
  const first = await finalize(store, contents, recording.state, NOW, never)
  assert.ok(first.outcome === 'finalized')
  const { commit } = recording.state.tracks.webcam!.files[0]!
  assert.deepEqual([first.sound, reads.length], [[{ track: 'webcam', file: 0, commit }], 1])
  const again = await finalize(store, contents, recording.state, NOW, never)
  assert.deepEqual([again.outcome === 'finalized' && again.sound, reads.length], [first.sound, 1])
  recording.fold({ type: 'session-finalized', session: 's1', at: new Date(NOW).toISOString(), version: 1, manifest: first.manifest, sound: [...first.sound] })
  await recording.commitNothing('screen')
  assert.equal(recording.finish('webcam', 'screen').version, 2)
  const elsewhere = await finalize(store, new ContentReader(store), recording.state, NOW, never)
  assert.deepEqual([elsewhere.outcome === 'finalized' && elsewhere.sound, reads.length], [[], 1])
  await recording.commitSame('webcam')
  await finalize(store, contents, recording.state, NOW, never)
  assert.equal(reads.length, 2, 'another commit is read')
})

test('given a sound commit, then a later one with a fault is reported, and taken back by the next', async () => {
  const { store, recording } = await recorded(mediaFile())
  const round = async (): Promise<string> => {
    const result = await finalize(store, new ContentReader(store), recording.state, NOW, never)
    const at = new Date(NOW).toISOString()
    const { session, version } = recording.state
    if (result.outcome === 'finalized') recording.fold({ type: 'session-finalized', session, at, version, manifest: result.manifest, sound: [...result.sound] })
    if (result.outcome === 'differs') for (const one of result.found) recording.fold({ type: 'file-verified', session, at, ...one })
    return result.outcome
  }
  assert.equal(await round(), 'finalized')
  assert.deepEqual(recording.state.tracks.webcam!.files[0]!.verification?.faults, [])
  const bad = mediaFile({ durationMs: 60_000 })
  await recording.commitFile('webcam', bad.blocks, bad.durationMs, bad.stated)
  assert.deepEqual([await round(), recording.state.status, await round()], ['differs', 'complete-with-gaps', 'finalized'])
  const good = mediaFile()
  await recording.commitFile('webcam', good.blocks, good.durationMs, good.stated)
  assert.deepEqual([await round(), await round(), recording.state.status], ['differs', 'finalized', 'complete'])
})
