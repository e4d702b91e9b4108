import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOBS, LongtakeError, ManifestShape, type Manifest, type SessionState } from '@longtake/contracts'
import { type BlobStore, MemoryBlobStore, type MemoryFaults } from '@longtake/blob'
import { checkManifest, newLedger } from '@longtake/testkit'
import { finalize, type Finalization } from '../src/finalize.ts'
import { ContentReader } from '../src/read-content.ts'
import { DecayingStore, NOW, part, Recording } from './recording.ts'

const never = new AbortController().signal
const run = (store: BlobStore, state: SessionState): Promise<Finalization> => finalize(store, new ContentReader(store), state, NOW, never)

async function manifestOf(store: BlobStore, version = 1): Promise<Manifest | null> {
  const found = await store.readAll(BLOBS.manifest('s1', version))
  return found === null ? null : ManifestShape.parse(JSON.parse(found.bytes.toString()))
}
async function snapshotsOf(store: BlobStore, blob: string): Promise<string[]> {
  const all = await Array.fromAsync(store.list(blob, { snapshots: true }))
  return all.flatMap(({ snapshot }) => snapshot ?? [])
}
async function recorded(faults: MemoryFaults = {}) {
  const store = new MemoryBlobStore(faults)
  const recording = new Recording(store, 's1')
  await recording.commitWhole('webcam', 5)
  await recording.commitWhole('screen', 3)
  return { store, recording, state: recording.finish('webcam', 'screen') }
}
const mismatch = (result: Finalization): string => (result.outcome === 'mismatch' || result.outcome === 'differs' ? `${result.outcome}: ${result.reason}` : assert.fail(`it was ${result.outcome}`))

test('a complete session is sealed file by file, and its manifest says what is sealed', async () => {
  const { store, state } = await recorded()
  assert.partialDeepStrictEqual(await run(store, state), { outcome: 'finalized', manifest: 's1/manifests/1.json', reused: false })
  const manifest = (await manifestOf(store))!
  assert.equal(manifest.status, 'complete')
  assert.deepEqual(Object.keys(manifest.tracks).sort(), ['screen', 'webcam'])
  const [file] = manifest.tracks.webcam!.files
  assert.deepEqual([file!.bytes, file!.parts, file!.commit], [state.tracks.webcam!.files[0]!.bytes, [part], { number: 1, id: 'webcam-commit-1' }])
  const sealed = await store.readAll(file!.blob, { snapshot: file!.snapshot })
  assert.deepEqual(sealed!.bytes, (await store.readAll(file!.blob))!.bytes)
})

test('what is sealed stays when late data changes the blob, and the next version gets its own seal', async () => {
  const { store, recording, state } = await recorded()
  await run(store, state)
  const before = (await manifestOf(store))!.tracks.webcam!.files[0]!
  const bytes = (await store.readAll(before.blob))!.bytes
  await recording.commitWhole('webcam', 6)
  assert.equal(recording.state.version, 2)
  assert.equal((await run(store, recording.state)).outcome, 'finalized')
  const after = (await manifestOf(store, 2))!.tracks.webcam!.files[0]!
  assert.notEqual(after.snapshot, before.snapshot)
  assert.deepEqual((await store.readAll(before.blob, { snapshot: before.snapshot }))!.bytes, bytes)
})

test('done again it finds the manifest and the seals', async () => {
  const { store, state } = await recorded()
  await run(store, state)
  assert.partialDeepStrictEqual(await run(store, state), { outcome: 'finalized', manifest: 's1/manifests/1.json', reused: true })
  assert.equal((await snapshotsOf(store, 's1/webcam/0')).length, 1)
})

test('after a failure at any write it goes on, without a second seal', async () => {
  for (const moment of ['before', 'after'] as const) {
    for (let failing = 1; failing <= 3; failing++) {
      let changes = 0
      let armed = false
      const { store, state } = await recorded({
        at(when) {
          if (armed && when === moment && ++changes === failing) throw new Error('the storage broke')
        },
      })
      armed = true
      await assert.rejects(run(store, state), /the storage broke/)
      assert.equal((await run(store, state)).outcome, 'finalized')
      for (const blob of ['s1/webcam/0', 's1/screen/0']) assert.equal((await snapshotsOf(store, blob)).length, 1, `${moment} change ${failing}`)
    }
  }
})

test('a newer commit than the status supersedes it, and nothing is written', async () => {
  const { store, recording, state } = await recorded()
  await recording.commit('webcam', [[0, 6]])
  assert.deepEqual(await run(store, state), { outcome: 'superseded' })
  assert.equal(await manifestOf(store), null)
})

test('a commit between looking and sealing supersedes it, too', async () => {
  let interfere: (() => Promise<void>) | undefined
  const { store, recording, state } = await recorded({
    async at(moment, change) {
      if (moment !== 'before' || change !== 'snapshot') return
      const once = interfere
      interfere = undefined
      await once?.()
    },
  })
  interfere = async () => void (await recording.commit('webcam', [[0, 6]]))
  assert.deepEqual(await run(store, state), { outcome: 'superseded' })
  assert.equal(await manifestOf(store), null)
})

test('the same content committed anew, after the manifest was written and before that was told, is the same version', async () => {
  const { store, recording, state } = await recorded()
  await run(store, state)
  await recording.commitSame('webcam')
  assert.equal(recording.state.version, 1)
  assert.equal(recording.state.tracks.webcam!.files[0]!.commit.number, 2)
  assert.partialDeepStrictEqual(await run(store, recording.state), { outcome: 'finalized', manifest: 's1/manifests/1.json', reused: true })
})

test('an end that is told once more, and what its backend told only then, after the manifest was written and before that was told, make the same version', async () => {
  const { store, recording, state } = await recorded()
  await run(store, state)
  const later = new Date(Date.parse(state.endedAt!) + 5000).toISOString()
  recording.fold({ type: 'session-created', session: 's1', at: later, metadata: { course: 'b' } })
  recording.fold({ type: 'session-finished', session: 's1', at: later, parts: state.finish!.parts, offset: '2' })
  assert.deepEqual([recording.state.version, recording.state.endedAt], [1, later])
  assert.partialDeepStrictEqual(await run(store, recording.state), { outcome: 'finalized', manifest: 's1/manifests/1.json', reused: true })
})

test('whatever does not fit is a mismatch and makes no manifest', async () => {
  const { store, state } = await recorded()
  const webcam = state.tracks.webcam!.files[0]!
  const telling = (change: Partial<typeof webcam>): SessionState => ({ ...state, tracks: { ...state.tracks, webcam: { files: [{ ...webcam, ...change }] } } })
  const cases: [SessionState, RegExp][] = [
    [telling({ blob: 's1/webcam/1' }), /differs: .*file-missing .*no such blob/],
    [telling({ commit: { number: 2, id: 'x' } }), /differs: .*file-changed .*at commit 1, the status at 2/],
    [telling({ commit: { number: 1, id: 'x' } }), /its commit 1 is webcam-commit-1/],
    [telling({ bytes: webcam.bytes + 1 }), /bytes/],
    [telling({ mimeType: 'video/mp4' }), /it is video\/webm/],
    [telling({ blocks: { count: 2, sha256: webcam.blocks.sha256 } }), /1 blocks, the status says 2/],
    [telling({ blocks: { count: 1, sha256: '00'.repeat(32) } }), /block ids/],
    [telling({ parts: [{ ...webcam.parts[0]!, chunks: 4 }] }), /stored ranges/],
    [telling({ parts: [{ ...webcam.parts[0]!, stored: [[0, 3]], chunks: 4 }] }), /mismatch: .*its facts abandoned/],
    [telling({ parts: [{ ...webcam.parts[0]!, closed: { chunks: 5, clean: false } }] }), /its facts complete-with-gaps/],
  ]
  for (const [told, reason] of cases) assert.match(mismatch(await run(store, told)), reason)
  assert.equal(await manifestOf(store), null)
})

/** The faults are published, and the next version is finalized with them. */
async function reported(store: BlobStore, recording: Recording, result: Finalization): Promise<Manifest> {
  assert.ok(result.outcome === 'differs')
  for (const one of result.found) recording.fold({ type: 'file-verified', session: 's1', at: new Date(NOW).toISOString(), ...one })
  assert.equal((await run(store, recording.state)).outcome, 'finalized')
  return (await manifestOf(store, recording.state.version))!
}

test('given a file of which only bytes are known, when one changed in storage, then it is reported', async () => {
  const store = new DecayingStore(0)
  const recording = new Recording(store, 's1')
  await recording.commitWhole('webcam', 5)
  const manifest = await reported(store, recording, await run(store, recording.finish('webcam')))
  assert.deepEqual([manifest.status, manifest.gaps.map(({ cause }) => cause)], ['complete-with-gaps', ['unreadable']])
})

test('given a file that cannot be read or sealed, as in the archive tier, then the session is finalized without it', async () => {
  let [isArchived, takesSnapshots] = [true, true]
  const { store, recording, state } = await recorded({
    refuses: (blob, operation) => (isArchived && blob === 's1/webcam/0' && operation === 'read' ? 'held' : null),
    at(_moment, change, blob) {
      if (!takesSnapshots && change === 'snapshot' && blob === 's1/webcam/0') throw new LongtakeError('BLOB_HELD', 'it has as many snapshots as it may')
    },
  })
  const unread = await run(store, state)
  isArchived = false
  takesSnapshots = false
  assert.deepEqual([unread, await run(store, state)].map((result) => result.outcome === 'differs' && result.found.map(({ track, faults }) => [track, faults[0]?.cause])), [
    [['webcam', 'file-unavailable']],
    [['webcam', 'file-unavailable']],
  ])
  const manifest = await reported(store, recording, unread)
  assert.deepEqual([manifest.status, manifest.tracks.webcam!.files, manifest.tracks.screen!.files.length], ['complete-with-gaps', [], 1])
})

test('given a file that was sealed and archived, when late data of another one comes, then its seal is used again', async () => {
  let isArchived = false
  const { store, recording, state } = await recorded({ refuses: (blob, operation) => (isArchived && blob === 's1/webcam/0' && operation === 'read' ? 'held' : null) })
  await run(store, state)
  const sealed = (await manifestOf(store))!.tracks.webcam!.files[0]!.snapshot
  isArchived = true
  await recording.commitWhole('screen', 4)
  assert.equal((await run(store, recording.state)).outcome, 'finalized')
  const manifest = (await manifestOf(store, 2))!
  assert.deepEqual([manifest.status, manifest.tracks.webcam!.files[0]!.snapshot], ['complete', sealed])
})

test('a manifest that says something else is never replaced', async () => {
  const { store, state } = await recorded()
  await store.put(BLOBS.manifest('s1', 1), Buffer.from('{}'), { contentType: 'application/json', metadata: {} })
  assert.match(mismatch(await run(store, state)), /says something else/)
  assert.equal((await store.readAll(BLOBS.manifest('s1', 1)))!.bytes.toString(), '{}')
})

test('a session without anything recorded has an empty account', async () => {
  const store = new MemoryBlobStore()
  const recording = new Recording(store, 's1')
  assert.equal((await run(store, recording.finish())).outcome, 'finalized')
  assert.deepEqual((await manifestOf(store))!.tracks, {})
})

test('gaps and unproven tails stand in the manifest', async () => {
  const store = new MemoryBlobStore()
  const recording = new Recording(store, 's1')
  recording.fold(await recording.commit('webcam', [[0, 1], [3, 3]], { closed: { chunks: 4, clean: false }, lost: [{ from: 2, to: 2, cause: 'crash' }] }))
  assert.equal((await run(store, recording.finish('webcam'))).outcome, 'finalized')
  const manifest = (await manifestOf(store))!
  assert.equal(manifest.status, 'complete-with-gaps')
  assert.deepEqual(manifest.gaps.map(({ from, to, state, cause }) => [from, to, state, cause]), [[2, 2, 'confirmed', 'crash']])
  assert.deepEqual(manifest.tracks.webcam!.parts[0]!.closed, { chunks: 4, clean: false })
})

test('an independent judge, who knows what was recorded, is content with the manifest, and not with a false one', async () => {
  const store = new MemoryBlobStore()
  const recording = new Recording(store, 's1')
  recording.fold(await recording.commit('webcam', [[0, 1], [3, 3]], { bytes: 30, closed: { chunks: 4, clean: true }, lost: [{ from: 2, to: 2, cause: 'quota' }] }))
  await run(store, recording.finish('webcam'))
  const manifest = (await manifestOf(store))!
  const ledger = newLedger({ track: 'webcam', part, mimeType: 'video/webm', startedAt: recording.state.startedAt! })
  for (const seq of [0, 1, 3]) for (const chunks of [ledger.made, ledger.acknowledged]) chunks.set(seq, new Uint8Array(10))
  ledger.closed = { chunks: 4, clean: true }
  const truth = { session: 's1', parts: [ledger], finished: true }
  assert.deepEqual(checkManifest(manifest, truth), [])
  assert.notDeepEqual(checkManifest({ ...manifest, gaps: [] }, truth), [])
})
