import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concat } from '../src/bytes.ts'
import { assertContent } from '../src/findings.ts'
import { checkRecording } from '../src/check-recording.ts'
import { readRecordedPart } from '../src/recorder-output.ts'
import { loadRecording, recordingNames } from '../src/recordings.ts'
import type { FrameToWrite } from './muxer.ts'
import { mux } from './muxer.ts'
import { chunkMap, codes, fixtureCase, judge, part, syntheticCase, toWrite, twoPartCase, type Case } from './good-file.ts'

/** Counted by ffprobe in the recorders' output: audio, video keyframes, other video frames. */
const counts: Record<string, [number, number, number]> = {
  'chrome-audio-only': [200, 0, 0],
  'chrome-requestdata-one-byte-chunks': [166, 2, 198],
  'chrome-screen-vp9': [0, 2, 118],
  'chrome-webcam-paused': [200, 3, 231],
  'chrome-webcam-vp9-keyframe-2s': [250, 8, 292],
  'chrome-webcam-vp9-opus': [333, 36, 363],
  'firefox-webcam-vp8': [752, 3, 448],
}
const webmNames = recordingNames.filter((name) => name !== 'chrome-mp4')

for (const name of webmNames) {
  test(`${name}: every frame is read, and a right file of it leaves the checker content, however it was cut`, () => {
    const { frames, dropped, skipped } = readRecordedPart(chunkMap(loadRecording(name).chunks))
    const video = frames.filter(({ kind }) => kind === 'video')
    const keys = video.filter(({ key }) => key).length
    assert.deepEqual([frames.length - video.length, keys, video.length - keys], counts[name])
    assert.deepEqual([dropped, skipped], [[], []])
    for (const seed of [undefined, 1, 2]) {
      const { findings, summary } = judge(fixtureCase(name, seed))
      assertContent(findings, name)
      assert.equal(summary.frames, frames.length)
      assert.deepEqual([summary.lostChunks, summary.duplicatedChunks, summary.undeclaredHoles], [0, 0, 0])
    }
  })
}

test('two parts in one file, with their tracks numbered differently', () => assertContent(judge(twoPartCase()).findings))

test('a part of two frames, which another part begins with, too, is found where it was recorded', () => {
  const all = concat(loadRecording('chrome-webcam-vp9-opus').chunks)
  const first = part('p1', [all])
  const length = Array.from({ length: 8_000 }, (_, i) => i).find((bytes) => readRecordedPart(chunkMap([all.subarray(0, bytes)])).frames.length === 2)
  const second = part('p2', [all.subarray(0, length)], 40_000)
  assertContent(judge({ parts: [first, second], file: toWrite([{ checked: first, shiftMs: 0 }, { checked: second, shiftMs: 40_000 }]) }).findings)
})

/** What is bent → what must be found, exactly. `frames` are the frames to write, bent in place. */
const bentFrames: Record<string, [(frames: FrameToWrite[]) => void, string[]]> = {
  'a dropped frame': [(frames) => frames.splice(100, 1), ['frame-missing']],
  'a dropped second': [(frames) => frames.splice(100, 75), ['frame-missing']],
  'the last frames missing': [(frames) => frames.splice(-30), ['tail-missing']],
  'a duplicated frame': [(frames) => frames.splice(100, 0, frames[100] as FrameToWrite), ['frame-duplicated']],
  'a duplicated second': [(frames) => frames.splice(175, 0, ...frames.slice(100, 175)), ['frame-duplicated', 'time-backwards']],
  'two neighbours swapped': [(frames) => {
    const [one, other] = neighbours(frames)
    frames.splice(100, 2, other, one)
  }, ['frame-order', 'time-backwards']],
  'the content of two neighbours swapped': [(frames) => {
    const [one, other] = neighbours(frames)
    frames.splice(100, 2, { ...other, timeMs: one.timeMs }, { ...one, timeMs: other.timeMs })
  }, ['frame-order']],
  'a keyframe not marked': [(frames) => flip(frames, true), ['key-flag']],
  'a delta frame marked as keyframe': [(frames) => flip(frames, false), ['key-flag']],
  'an audio frame not marked as keyframe': [(frames) => {
    const audio = frames.findIndex(({ track }, index) => index > 50 && track === 2)
    frames[audio] = { ...(frames[audio] as FrameToWrite), key: false }
  }, ['key-flag']],
  'one bit of one frame': [(frames) => {
    const data = Uint8Array.from(frames[100]?.data ?? [])
    data[data.length - 1] = (data.at(-1) ?? 0) ^ 1
    frames[100] = { ...(frames[100] as FrameToWrite), data }
  }, ['frame-bytes']],
  'a frame cut short': [(frames) => {
    frames[100] = { ...(frames[100] as FrameToWrite), data: frames[100]?.data.slice(0, -3) ?? new Uint8Array(0) }
  }, ['frame-bytes']],
  'a frame nobody recorded': [(frames) => frames.splice(100, 0, { ...(frames[100] as FrameToWrite), data: Uint8Array.of(1, 2, 3) }), ['frame-unknown']],
  'one frame 5 ms late': [(frames) => {
    frames[100] = { ...(frames[100] as FrameToWrite), timeMs: (frames[100]?.timeMs ?? 0) + 5 }
  }, ['frame-time']],
  'the last third 300 ms late': [(frames) => {
    for (let index = 600; index < frames.length; index += 1) frames[index] = { ...(frames[index] as FrameToWrite), timeMs: (frames[index]?.timeMs ?? 0) + 300 }
  }, ['frame-time']],
  'times going back': [(frames) => {
    for (let index = 600; index < frames.length; index += 1) frames[index] = { ...(frames[index] as FrameToWrite), timeMs: (frames[index]?.timeMs ?? 0) - 3000 }
  }, ['cluster-time', 'frame-time', 'time-backwards']],
  'everything 2 s late': [(frames) => {
    for (const [index, frame] of frames.entries()) frames[index] = { ...frame, timeMs: frame.timeMs + 2000 }
  }, ['part-offset']],
  'additions invented': [(frames) => {
    frames[100] = { ...(frames[100] as FrameToWrite), additions: Uint8Array.of(0xa6, 0x80) }
  }, ['frame-additions']],
}

function neighbours(frames: readonly FrameToWrite[]): [FrameToWrite, FrameToWrite] {
  return [frames[100] as FrameToWrite, frames[101] as FrameToWrite]
}

function flip(frames: FrameToWrite[], from: boolean): void {
  const index = frames.findIndex((frame, at) => at > 50 && frame.track === 1 && frame.key === from)
  frames[index] = { ...(frames[index] as FrameToWrite), key: !from }
}

for (const [what, [bend, expected]] of Object.entries(bentFrames)) {
  test(`found: ${what}`, () => {
    const bent = syntheticCase()
    bend(bent.file.frames)
    assert.deepEqual(codes(judge(bent)), expected)
  })
}

test('found frames are told with their part, their chunks and their number', () => {
  const bent = syntheticCase()
  const gone = bent.file.frames.splice(100, 75)
  const { findings, summary } = judge(bent)
  assert.equal(findings.length, 1)
  assert.equal(findings[0]?.count, gone.length)
  assert.match(findings[0]?.message ?? '', /frame at 1\.\d\d0 s of part p1 \(chunk 1\) and 74 more is not in the file/)
  assert.deepEqual(findings[0]?.chunks, [1, 1])
  assert.equal(summary.lostChunks, 2)
  assert.equal(summary.frames, bent.file.frames.length)
})

test('found: identical frames of silence, one of them dropped or doubled', () => {
  for (const [bend, expected] of [
    [(frames: FrameToWrite[]) => frames.splice(3, 1), ['frame-missing']],
    [(frames: FrameToWrite[]) => frames.splice(3, 0, frames[3] as FrameToWrite), ['frame-duplicated']],
  ] as const) {
    const bent = fixtureCase('chrome-audio-only')
    assert.deepEqual(bent.file.frames[3]?.data, bent.file.frames[4]?.data)
    bend(bent.file.frames)
    const { findings } = judge(bent)
    assert.deepEqual(codes({ findings }), expected)
    assert.match(findings[0]?.message ?? '', /0\.180 s/)
  }
})

test('found: parts in the wrong order', () => {
  const bent = twoPartCase()
  const half = bent.file.frames.findIndex(({ timeMs }) => timeMs >= 15_000)
  const moved = (frames: FrameToWrite[], by: number): FrameToWrite[] => frames.map((frame) => ({ ...frame, timeMs: frame.timeMs + by }))
  bent.file.frames = [...moved(bent.file.frames.slice(half), -15_000), ...moved(bent.file.frames.slice(0, half), 15_000)]
  assert.deepEqual(codes(judge(bent)), ['part-order'])
})

test('a recorder that died before its first frame may have set where the file begins', () => {
  const whole = twoPartCase()
  whole.parts.unshift(part('p0', [new Uint8Array(5)], -20_000))
  whole.file.frames = whole.file.frames.map((frame) => ({ ...frame, timeMs: frame.timeMs + 20_000 }))
  assert.deepEqual(codes(judge(whole)).filter((code) => code === 'part-offset'), [])
  whole.file.frames = whole.file.frames.map((frame) => ({ ...frame, timeMs: frame.timeMs + 1000 }))
  assert.ok(codes(judge(whole)).includes('part-offset'))
})

test('found: a part at another time than it was started, a part that is missing, a part twice', () => {
  const late = twoPartCase()
  late.file.frames = late.file.frames.map((frame) => (frame.timeMs >= 15_000 ? { ...frame, timeMs: frame.timeMs + 400 } : frame))
  assert.deepEqual(codes(judge(late)), ['part-offset'])

  const without = twoPartCase()
  without.file.frames = without.file.frames.filter(({ timeMs }) => timeMs < 15_000)
  assert.deepEqual(codes(judge(without)), ['tail-missing'])

  const twice = twoPartCase()
  twice.file.frames.push(...twice.file.frames.filter(({ timeMs }) => timeMs >= 15_000).map((frame) => ({ ...frame, timeMs: frame.timeMs + 10_000 })))
  const verdict = judge(twice)
  assert.deepEqual(codes(verdict), ['frame-duplicated'])
  assert.ok(verdict.summary.duplicatedChunks >= 6)
})

test('a part started before the one ahead of it had ended begins at that end', () => {
  const close: Case = twoPartCase()
  close.parts[1] = { ...(close.parts[1] as Case['parts'][number]), startedAt: new Date(Date.parse(close.parts[0]?.startedAt ?? '') + 5_500).toISOString() }
  close.file.frames = close.file.frames.map((frame) => (frame.timeMs >= 15_000 ? { ...frame, timeMs: frame.timeMs - 15_000 + 6_020 } : frame))
  assertContent(judge(close).findings)
})

test('a growing file may lack what came last, and nothing else', () => {
  const { parts, file } = syntheticCase()
  const whole = file.frames.slice()
  file.frames = whole.slice(0, 300)
  assertContent(checkRecording({ file: mux(file), parts, growing: true }).findings)
  file.frames = [...whole.slice(0, 200), ...whole.slice(201, 300)]
  assert.deepEqual(codes(checkRecording({ file: mux(file), parts, growing: true })), ['frame-missing'])
})

test('chunks that were sent and not acknowledged may be there or not', () => {
  const { parts, file } = syntheticCase()
  const all = chunkMap(parts[0]?.chunks as Uint8Array[])
  const acknowledged = chunkMap([...all.values()].slice(0, -2))
  const unacknowledged = new Map([...all].slice(-2))
  const one = { ...part('p1', acknowledged), unacknowledged }
  assertContent(checkRecording({ file: mux(file), parts: [one] }).findings)
  const without = readRecordedPart(acknowledged).frames.length
  file.frames.splice(without)
  assertContent(checkRecording({ file: mux(file), parts: [one] }).findings)
  file.frames.splice(without - 1)
  assert.deepEqual(codes(checkRecording({ file: mux(file), parts: [one] })), ['frame-missing'])
})

test('MP4 is kept as it came', () => {
  const { chunks } = loadRecording('chrome-mp4')
  const bytes = Buffer.concat(chunks)
  assertContent(checkRecording({ file: bytes, parts: [part('p1', chunks)] }).findings)
  assertContent(checkRecording({ file: bytes.subarray(0, 200_000), parts: [part('p1', chunks)], growing: true }).findings)
  assert.deepEqual(codes(checkRecording({ file: bytes.subarray(0, -1), parts: [part('p1', chunks)] })), ['verbatim-bytes'])
  const other = Buffer.from(bytes)
  other[5000] = (other[5000] ?? 0) ^ 1
  assert.match(checkRecording({ file: other, parts: [part('p1', chunks)] }).findings[0]?.message ?? '', /the first difference at 5000/)
})
