import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { MemoryBlobStore } from '@longtake/blob'
import { type EventOf, LongtakeError, type SessionState } from '@longtake/contracts'
import { findFfmpeg } from '@longtake/testkit'
import { damagedFrame, inverted, resizedMp4 } from './damaged.ts'
import { chromeH264 } from './h264.ts'
import { finalizedState, program, recordingFile, setUp, store, type StoredFile } from './support.ts'

type Decoded = EventOf<'file-decoded'>

/** What is published of a session with this one file. */
async function decoded(file: StoredFile, options: Parameters<typeof setUp>[0] = {}): Promise<Decoded> {
  using system = setUp({ coverage: 'all', ...options })
  const state = finalizedState([file])
  await store(system.blobs, state, [file])
  await system.see(state)
  await system.idle()
  const events = system.events.filter((event) => event.type === 'file-decoded')
  assert.deepEqual([events.length, system.done, system.leftovers()], [1, 1, []])
  return events[0]!
}
const spans = ({ undecodable }: Decoded): unknown[] =>
  undecodable.map(({ media, startMs, endMs }) => [media, Math.round(startMs), Math.round(endMs)])

const mp4 = (bytes: Uint8Array): StoredFile => ({ bytes, mimeType: 'video/mp4', codecs: [], durationMs: 4_000 })
const webcam = recordingFile('chrome-webcam-vp9-opus', ['V_VP9', 'A_OPUS'], 20_000)
const vp8 = recordingFile('firefox-webcam-vp8', ['V_VP8', 'A_OPUS'], 15_000)

for (const file of [
  webcam,
  vp8,
  recordingFile('chrome-screen-vp9', ['V_VP9']),
  recordingFile('chrome-audio-only', ['A_OPUS']),
  recordingFile('chrome-mp4', []),
  recordingFile('chrome-webcam-paused', ['V_VP8', 'A_OPUS']),
]) {
  test(`a recording of a browser is wholly shown: ${file.codecs.join(' ')} in ${file.mimeType}, ${file.bytes.length} bytes`, async () => {
    const { coverage, undecodable, commit, version, file: number } = await decoded(file)
    assert.deepEqual(
      { coverage, undecodable, commit, version, number },
      { coverage: 'all', undecodable: [], commit: { number: 3, id: 'c3' }, version: 1, number: 0 },
    )
  })
}

for (const profile of ['baseline', 'high'] as const) {
  test(`an MP4 of H.264 (${profile}) is undecodable from a change of size on that the stream does not state`, async () => {
    using folder = setUp()
    assert.deepEqual(spans(await decoded(mp4(resizedMp4(folder.tempDir, { inBand: false, profile })))), [
      ['video', 2000, 4000],
    ])
    assert.deepEqual(spans(await decoded(mp4(resizedMp4(folder.tempDir, { inBand: true, profile })))), [])
  })
}

test('H.264 in Matroska without a description of the codec decodes', async () => {
  using folder = setUp()
  assert.deepEqual(
    spans(
      await decoded({
        bytes: chromeH264(folder.tempDir),
        mimeType: 'video/x-matroska',
        codecs: ['V_MPEG4/ISO/AVC', 'A_OPUS'],
        durationMs: 4_000,
      }),
    ),
    [],
  )
})

const damages: [string, StoredFile, number, (frame: Uint8Array) => void][] = [
  ['the middle of a frame of VP9', webcam, 2, inverted(0.5, 16)],
  ['the head of a frame of VP9', webcam, 2, inverted(0, 4)],
  ['a frame of VP9 that is all zeros', webcam, 2, (frame) => frame.fill(0)],
  ['the head of a frame of VP8', vp8, 1, inverted(0, 10)],
]
for (const [name, file, track, damage] of damages) {
  test(`damage in ${name} is found with its time, up to the next keyframe`, async () => {
    const { bytes, ms } = damagedFrame(file.bytes, track, 6_000, damage)
    const event = await decoded({ ...file, bytes })
    const [span, ...others] = event.undecodable
    assert.deepEqual(others, [])
    assert.ok(
      span?.media === 'video' && Math.abs(span.startMs - ms) <= 5 && span.endMs > span.startMs && span.endMs <= 20_000,
      JSON.stringify(event),
    )
  })
}

test('damage in the head of a packet of Opus is found, although ffmpeg drops it before it decodes', async () => {
  const { bytes, ms } = damagedFrame(vp8.bytes, 2, 6_000, inverted(0, 4))
  const { undecodable } = await decoded({ ...vp8, bytes })
  const [span, ...others] = undecodable
  assert.deepEqual(others, [])
  assert.ok(
    span?.media === 'audio' && Math.abs(span.startMs - ms) <= 20 && span.endMs - span.startMs <= 60,
    JSON.stringify(undecodable),
  )
})

test('a damaged frame of H.264 is found, and not concealed', async () => {
  using folder = setUp()
  const { bytes, ms } = damagedFrame(chromeH264(folder.tempDir), 1, 1_500, inverted(0.3, 40))
  const { undecodable } = await decoded({
    bytes,
    mimeType: 'video/x-matroska',
    codecs: ['V_MPEG4/ISO/AVC', 'A_OPUS'],
    durationMs: 4_000,
  })
  const [span, ...others] = undecodable
  assert.deepEqual(others, [])
  assert.ok(
    span?.media === 'video' && span.startMs === ms && Math.abs(span.endMs - 2_000) <= 10,
    JSON.stringify(undecodable),
  )
})

test('keyframes alone are enough to find a changed size', async () => {
  using folder = setUp()
  const file = mp4(resizedMp4(folder.tempDir, { inBand: false, profile: 'baseline' }))
  const event = await decoded(file, { coverage: 'keyframes' })
  assert.deepEqual([event.coverage, spans(event)], ['keyframes', [['video', 2000, 4000]]])
  assert.deepEqual(spans(await decoded(webcam, { coverage: 'keyframes' })), [])
})

test('what a decoder writes about a recording that it shows all the same is no gap', async () => {
  using folder = setUp()
  const script = `echo "[vp9] something odd" >&2; exec ${findFfmpeg()} "$@"`
  assert.deepEqual(spans(await decoded(webcam, { ffmpeg: program(folder, script) })), [])
})

test('without the codec nothing is concluded; beyond the time limit the keyframes are decoded at least', async () => {
  using folder = setUp()
  const lacking = await decoded(webcam, {
    ffmpeg: program(
      folder,
      'case "$*" in *framecrc*) echo "Decoder (codec vp9) not found for input stream #0:0" >&2; exit 1;; esac; exec false',
    ),
  })
  assert.deepEqual([lacking.coverage, lacking.undecodable], ['none', []])
  assert.match(lacking.reason ?? '', /codec vp9/)
  using other = setUp()
  const slow = `case "$*" in *nokey*) exec ${findFfmpeg()} "$@";; *framecrc*) exec sleep 600;; esac`
  const late = await decoded(webcam, { ffmpeg: program(other, slow), timeLimitMs: 5_000 })
  assert.deepEqual([late.coverage, late.undecodable], ['keyframes', []])
  assert.match(late.reason ?? '', /time limit/)
})

test('content that no decoder can read is undecodable from its beginning to its end', async () => {
  const event = await decoded({
    bytes: Buffer.from('no recording'.repeat(100)),
    mimeType: 'video/webm',
    codecs: ['V_VP8'],
    durationMs: 7_000,
  })
  assert.deepEqual([event.coverage, spans(event)], ['all', [['video', 0, 7_000]]])
})

test('a file with more frames than its length allows fills no disk, and nothing is concluded', async () => {
  using folder = setUp()
  const event = await decoded(webcam, { ffmpeg: program(folder, 'head -c 9000000 /dev/zero > frames') })
  assert.deepEqual([event.coverage, event.undecodable], ['none', []])
})

test('storage that is away holds nothing else up: posters go on, and the file is decoded once it is back', async ({
  mock,
}) => {
  const blobs = new MemoryBlobStore()
  using system = setUp({ coverage: 'all', blobs })
  const state = finalizedState([webcam])
  await store(blobs, state, [webcam])
  const readRange = blobs.readRange.bind(blobs)
  let failures = 0
  mock.method(blobs, 'readRange', async (...args: Parameters<typeof readRange>) => {
    // The poster is read first.
    if (system.events.length > 0 && failures++ < 1) throw new LongtakeError('BLOB_UNAVAILABLE', 'away')
    return readRange(...args)
  })
  await system.see(state)
  assert.deepEqual(
    system.events.map(({ type }) => type),
    ['rendition-ready'],
  )
  await system.idle()
  assert.deepEqual(
    [system.events.map(({ type }) => type), failures, system.partition.fault],
    [['rendition-ready', 'file-decoded'], 2, undefined],
  )
})

test('a stop ends a decoding under way, and leaves the record to the next', async () => {
  using folder = setUp()
  using system = setUp({
    coverage: 'all',
    ffmpeg: program(
      folder,
      `case "$*" in *framecrc*) kill -HUP $PPID; exec sleep 600;; esac; exec ${findFfmpeg()} "$@"`,
    ),
  })
  const state = finalizedState([webcam])
  await store(system.blobs, state, [webcam])
  const started = once(process, 'SIGHUP')
  await system.see(state)
  await started
  system.stopping.abort()
  await system.partition.close()
  assert.deepEqual(
    [system.events.map(({ type }) => type), system.done, system.leftovers()],
    [['rendition-ready'], 0, []],
  )
})

test('a sealed commit is decoded once, also where another version has it, or a status is older than the event', async () => {
  using system = setUp({ coverage: 'all' })
  const state = finalizedState([webcam])
  await store(system.blobs, state, [webcam])
  await system.see(state)
  await system.see(state)
  await system.idle()
  const known: SessionState['decoded'] = [{ track: 'webcam', file: 0, commit: 3, coverage: 'all', undecodable: [] }]
  using restarted = setUp({ coverage: 'all', blobs: system.blobs })
  await restarted.see({ ...state, decoded: known })
  // The checkpoint alone was committed again since.
  await restarted.see({
    ...state,
    decoded: known,
    tracks: { webcam: { files: [{ ...state.tracks['webcam']!.files[0]!, commit: { number: 4, id: 'c4' } }] } },
  })
  await restarted.idle()
  assert.deepEqual(
    [system, restarted].map(({ events, done }) => [events.filter(({ type }) => type === 'file-decoded').length, done]),
    [
      [1, 2],
      [0, 2],
    ],
  )
})
