import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { deletePrefix, MemoryBlobStore, type BlobStore } from '@longtake/blob'
import { BLOBS, encodeStatus, LongtakeError, type RecordingEvent } from '@longtake/contracts'
import { createLogger } from '@longtake/service'
import type { RecordingName } from '@longtake/testkit'
import { lastWords } from '../src/ffmpeg.ts'
import { openWorkspace, removeLeftovers } from '../src/workspace.ts'
import { chromeH264 } from './h264.ts'
import { contentOf, finalizedState, madeFile, probe, program, recordingFile, session, setUp, store, type StoredFile } from './support.ts'

/** A storage that holds the files, and what became of their session's status. */
async function seen(system: ReturnType<typeof setUp>, files: readonly StoredFile[]): Promise<RecordingEvent[]> {
  const state = finalizedState(files)
  await store(system.blobs, state, files)
  await system.see(state)
  return system.events
}

const tone = ['-f', 'lavfi', '-i', 'sine=frequency=440:duration=2:sample_rate=48000']
const picture = ['-f', 'lavfi', '-i', 'testsrc=duration=2:size=160x120:rate=10']
const encoded: [string, StoredFile, string[]][] = [
  ['PCM alone', madeFile(['A_PCM/FLOAT/IEEE'], [...tone, '-c:a', 'pcm_f32le']), ['aac']],
  ['H.264 with PCM', madeFile(['V_MPEG4/ISO/AVC', 'A_PCM/INT/LIT'], [...picture, ...tone, '-c:v', 'libx264', '-c:a', 'pcm_s16le']), ['h264', 'aac']],
  ['VP8 with PCM', madeFile(['V_VP8', 'A_PCM/INT/LIT'], [...picture, ...tone, '-c:v', 'libvpx', '-c:a', 'pcm_s16le']), ['h264', 'aac']],
]
for (const [name, file, codecs] of encoded) {
  test(`${name} in Matroska: what MP4 has no place for is encoded in its rendition`, async () => {
    using system = setUp()
    const event = (await seen(system, [file])).find((one) => one.type === 'rendition-ready' && one.kind === 'mp4')
    assert.equal(event?.type, 'rendition-ready')
    const { streams, durationS } = probe(await contentOf(system, event.blob))
    assert.deepEqual(streams.map(({ codec_name }) => codec_name), codecs)
    assert.ok(Math.abs(durationS - 2) < 0.2, `${durationS} s`)
  })
}

const pictures: [RecordingName, string[], number, number][] = [
  ['chrome-webcam-vp9-opus', ['V_VP9', 'A_OPUS'], 640, 480],
  ['chrome-screen-vp9', ['V_VP9'], 1280, 720],
  ['firefox-webcam-vp8', ['V_VP8', 'A_OPUS'], 640, 480],
]
for (const [name, codecs, width, height] of pictures) {
  test(`${name}: its poster is a picture of it`, async () => {
    using system = setUp()
    const [event, ...others] = await seen(system, [recordingFile(name, codecs)])
    assert.deepEqual(others, [])
    assert.equal(event?.type, 'rendition-ready')
    const { blob, bytes, mimeType } = event
    assert.deepEqual({ blob, mimeType }, { blob: 'exam-17/renditions/1/webcam/poster.jpg', mimeType: 'image/jpeg' })
    const jpeg = await contentOf(system, blob)
    assert.equal(jpeg.length, bytes)
    const [stream] = probe(jpeg).streams
    assert.deepEqual([stream?.codec_name, stream?.width, stream?.height], ['mjpeg', width, height])
    assert.equal((await system.blobs.properties(blob))?.contentType, 'image/jpeg')
    assert.equal(system.done, 1)
    assert.deepEqual(system.leftovers(), [])
  })
}

test('of sound there is no poster, and that is no failure', async () => {
  using system = setUp()
  assert.deepEqual(await seen(system, [recordingFile('chrome-audio-only', ['A_OPUS'])]), [])
  // Of MP4 the codecs are not known before ffmpeg has looked.
  using other = setUp()
  const asVideo = recordingFile('chrome-audio-only', [])
  assert.deepEqual(await seen(other, [asVideo]), [])
  assert.deepEqual([system.done, other.done], [1, 1])
})

test('fragmented MP4 becomes one that starts at once, with the same frames', async () => {
  using system = setUp()
  const file = recordingFile('chrome-mp4', [])
  const events = await seen(system, [file])
  assert.deepEqual(events.map((event) => [event.type, 'kind' in event && event.kind]), [['rendition-ready', 'poster'], ['rendition-ready', 'mp4']])
  const mp4 = await contentOf(system, 'exam-17/renditions/1/webcam/0.mp4')
  assert.ok(file.bytes.length > 0 && Buffer.from(file.bytes).includes('moof'), 'the input is fragmented')
  assert.ok(!mp4.includes('moof'))
  assert.ok(mp4.indexOf('moov') < mp4.indexOf('mdat'))
  // Of the output its sample tables are asked: an old ffmpeg hides the last sample of sound behind its edit list.
  const made = probe(mp4).streams.map(({ codec_name, nb_frames }) => [codec_name, nb_frames])
  const recorded = probe(file.bytes).streams.map(({ codec_name, nb_read_packets }) => [codec_name, nb_read_packets])
  assert.deepEqual(new Map(made as []), new Map(recorded as []))
  assert.ok(probe(mp4).durationS > 11)
})

test('H.264 as Chrome puts it into Matroska becomes an MP4 that others play', async () => {
  using system = setUp()
  const bytes = chromeH264(system.tempDir)
  const events = await seen(system, [{ bytes, mimeType: 'video/x-matroska', codecs: ['V_MPEG4/ISO/AVC', 'A_OPUS'], durationMs: 4_000 }])
  assert.deepEqual(events.map(({ type }) => type), ['rendition-ready', 'rendition-ready'])
  const mp4 = await contentOf(system, 'exam-17/renditions/1/webcam/0.mp4')
  assert.ok(mp4.includes('avcC'), 'the decoder configuration stands in the header')
  const { streams, durationS } = probe(mp4)
  assert.deepEqual(streams.map(({ codec_name }) => codec_name), ['h264', 'opus'])
  assert.equal(streams[0]!.nb_read_packets, '100')
  assert.ok(Math.abs(durationS - 4) < 0.1, `${durationS} s`)
})

test('what ffmpeg cannot read is told once with its own words, and holds nothing up', async () => {
  using system = setUp()
  const files: StoredFile[] = [
    { track: 'phone', bytes: Buffer.from('#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n'.repeat(50)), mimeType: 'video/mp4', codecs: [] },
    { ...recordingFile('chrome-screen-vp9', ['V_VP9']), track: 'screen' },
  ]
  const events = await seen(system, files)
  assert.deepEqual(events.map((event) => [event.type, 'track' in event && event.track, 'kind' in event && event.kind]), [
    ['rendition-failed', 'phone', 'poster'],
    ['rendition-failed', 'phone', 'mp4'],
    ['rendition-ready', 'screen', 'poster'],
  ])
  const [failed] = events
  assert.ok(failed?.type === 'rendition-failed')
  assert.match(failed.reason, /^\[mov,[\w,]+\] moov atom not found[^]*Invalid data found[^]*exit code 1/)
  await system.see(finalizedState(files))
  assert.equal(events.length, 3, 'a status from before the events came makes nothing anew')
  assert.equal(system.done, 2)
  assert.deepEqual(system.leftovers(), [])
})

test('where the tenth of the time is broken, the first picture does', async () => {
  using system = setUp()
  const file = recordingFile('chrome-webcam-vp9-opus', ['V_VP9', 'A_OPUS'])
  const { durationMs = 0 } = file
  // Cut off behind the first second, with the duration of the whole.
  const [event] = await seen(system, [{ ...file, bytes: file.bytes.slice(0, 50_000), durationMs: durationMs * 10 }])
  assert.equal(event?.type, 'rendition-ready')
})

test('a run that takes too long is ended and counts as failed', async () => {
  using folder = setUp()
  using system = setUp({ ffmpeg: program(folder, 'echo "frame= 12" >&2; exec sleep 600'), timeLimitMs: 300 })
  const [event] = await seen(system, [recordingFile('chrome-mp4', [], 0)])
  assert.ok(event?.type === 'rendition-failed')
  assert.equal(event.reason, 'frame= 12\nffmpeg: ended after 0.3 s, its time limit')
  assert.deepEqual(system.leftovers(), [])
})

test('more than a run may put into its folder is refused in words, and the poster is made all the same', async () => {
  using system = setUp({ runBytes: 1_000_000 })
  const events = await seen(system, [recordingFile('chrome-mp4', [])])
  assert.deepEqual(events.map(({ type }) => type), ['rendition-ready', 'rendition-failed'])
  assert.match(JSON.stringify(events[1]), /a recording of 802829 bytes needs \d+ bytes of temporary space/)
})

test('an MP4 that would grow beyond its input is given up', async () => {
  using folder = setUp()
  using system = setUp({ ffmpeg: program(folder, 'head -c 4000000 /dev/zero > output') })
  const events = await seen(system, [recordingFile('chrome-mp4', [])])
  assert.match(JSON.stringify(events.at(-1)), /rendition-failed.*would be larger than/)
})

test('trouble with storage is no failed run: the record is not done, and once it is over everything is made', async () => {
  let broken = true
  const blobs = new MemoryBlobStore({
    at: (moment, change, blob) => {
      if (broken && moment === 'before' && change === 'stage block' && blob.includes('/renditions/')) throw new LongtakeError('BLOB_UNAVAILABLE', 'away')
    },
  })
  using system = setUp({ blobs })
  const files = [recordingFile('chrome-screen-vp9', ['V_VP9'])]
  await assert.rejects(seen(system, files), { code: 'BLOB_UNAVAILABLE' })
  assert.match(system.partition.fault ?? '', /away/)
  assert.deepEqual([system.events.length, system.done, system.leftovers().length], [0, 0, 0])
  broken = false
  await system.see(finalizedState(files))
  assert.equal(system.partition.fault, undefined)
  assert.deepEqual([system.events.length, system.done], [1, 1])
})

test('a lost answer to the commit, or a crash before the event: what exists is told, not made again', async () => {
  const blobs = new MemoryBlobStore()
  using first = setUp({ blobs })
  const files = [recordingFile('chrome-screen-vp9', ['V_VP9'])]
  const [event] = await seen(first, files)
  using next = setUp({ blobs, ffmpeg: '/nowhere/ffmpeg' })
  await next.see(finalizedState(files))
  assert.deepEqual(next.events, [event])
})

test('an ffmpeg that cannot be started is no verdict on a recording', async () => {
  using system = setUp({ ffmpeg: '/nowhere/ffmpeg' })
  await assert.rejects(seen(system, [recordingFile('chrome-screen-vp9', ['V_VP9'])]), /could not be started/)
  assert.deepEqual([system.events.length, system.done, system.leftovers().length], [0, 0, 0])
})

test('a stop ends the run under way, and leaves the record to the next', async () => {
  using folder = setUp()
  using system = setUp({ ffmpeg: program(folder, 'kill -HUP $PPID; exec sleep 600') })
  const started = once(process, 'SIGHUP')
  const handled = seen(system, [recordingFile('chrome-screen-vp9', ['V_VP9'], 0)])
  await started
  system.stopping.abort()
  await handled
  assert.deepEqual([system.events.length, system.done, system.leftovers().length], [0, 0, 0])
})

test('a deleted session leaves no renditions, and what cannot be read is parked', async () => {
  using system = setUp()
  const files = [recordingFile('chrome-screen-vp9', ['V_VP9'])]
  await seen(system, files)
  await system.see({ ...finalizedState([]), status: 'deleted' })
  let kept = 0
  for await (const _ of system.blobs.list(BLOBS.renditionPrefix(session))) kept += 1
  assert.ok(kept > 0, 'the status of an earlier deletion takes nothing from a session that was created anew')
  await system.blobs.put(BLOBS.tombstone(session), Buffer.alloc(0), { contentType: 'text/plain', metadata: {} })
  await system.see({ ...finalizedState([]), status: 'deleted' })
  for await (const { name } of system.blobs.list(BLOBS.renditionPrefix(session))) assert.fail(`${name} is still there`)
  assert.ok(await system.blobs.properties(BLOBS.file(session, 'webcam', 0)), 'what others wrote is left to them')
  await system.seeBytes(Buffer.from('no status'))
  await system.seeBytes(encodeStatus(finalizedState(files, { manifest: { version: 1, blob: BLOBS.file(session, 'webcam', 0) }, session })).value)
  assert.deepEqual(system.parked, ['not-json'], 'of this version all is settled')
  using other = setUp({ blobs: system.blobs })
  await other.see(finalizedState(files, { manifest: { version: 1, blob: BLOBS.file(session, 'webcam', 0) } }))
  assert.deepEqual(other.parked, ['manifest'])
  assert.deepEqual([system.done, other.done], [5, 1])
})

test('a session that is deleted before, or while, its renditions are made is no failure and no trouble', async ({ mock }) => {
  const files = [recordingFile('chrome-screen-vp9', ['V_VP9'])]
  const logger = createLogger({ service: 'remuxer', level: 'silent' })
  const warn = mock.method(logger, 'warn')
  const deleteIn = async (blobs: BlobStore): Promise<void> => {
    await blobs.put(BLOBS.tombstone(session), Buffer.alloc(0), { contentType: 'text/plain', metadata: {} })
    await deletePrefix(blobs, BLOBS.session(session))
  }
  using before = setUp({ logger })
  await deleteIn(before.blobs)
  await before.see(finalizedState(files))
  const blobs = new MemoryBlobStore()
  const readAll = blobs.readAll.bind(blobs)
  mock.method(blobs, 'readAll', async (...args: Parameters<typeof readAll>) => {
    const read = await readAll(...args)
    await deleteIn(blobs)
    return read
  })
  using meanwhile = setUp({ blobs, logger })
  await seen(meanwhile, files)
  assert.deepEqual([before.done, before.events, meanwhile.done, meanwhile.events], [1, [], 1, []])
  assert.equal(warn.mock.callCount(), 0)
})

test('a sealed recording or a manifest that is missing although nobody deleted the session is told', async ({ mock }) => {
  const files = [recordingFile('chrome-screen-vp9', ['V_VP9'])]
  const logger = createLogger({ service: 'remuxer', level: 'silent' })
  const warn = mock.method(logger, 'warn')
  using system = setUp({ logger })
  await system.see(finalizedState(files))
  assert.deepEqual([system.done, system.events, warn.mock.callCount()], [1, [], 1])
})

test('last words are bounded text without secrets', () => {
  const said = `\u001b[31mopening http://host/c/b?sig=abc failed\u001b[0m\r\u0000Bearer abcdef ${'x'.repeat(10_000)}\nthe end\n`
  const words = lastWords(said, 'exit code 1')
  assert.equal(words.length, 4_000)
  assert.ok(words.endsWith('x\nthe end\nffmpeg: exit code 1'))
  assert.equal(lastWords('see https://host/x?sig=abc\r\n\u0007no', 'exit code 1'), 'see [address]\nno\nffmpeg: exit code 1')
  assert.equal(lastWords('', 'killed by SIGSEGV'), 'ffmpeg: killed by SIGSEGV')
})

test('folders that killed processes left are removed, those of living ones stay', async () => {
  using system = setUp()
  const of = (pid: number | string): string => join(system.tempDir, `longtake-remuxer-${pid}-abc`)
  // No pid is so high: Linux has at most 2^22 of them.
  for (const pid of [process.ppid, 2 ** 22 + 1]) mkdirSync(of(pid))
  const own = await openWorkspace(system.tempDir, 10)
  assert.equal(await removeLeftovers(system.tempDir), 2)
  assert.deepEqual([existsSync(of(process.ppid)), existsSync(own.path)], [true, false])
  await assert.rejects(openWorkspace(system.tempDir, 2 ** 60), /bytes free/)
})
