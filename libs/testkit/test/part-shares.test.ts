import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concat } from '../src/bytes.ts'
import { checkRecording, type CheckedPart } from '../src/check-recording.ts'
import { partsOfFiles } from '../src/part-shares.ts'
import { loadRecording } from '../src/recordings.ts'
import { syntheticChunks } from '../src/synthetic.ts'
import { FIRST_START, part, toWrite } from './good-file.ts'
import { mux, type FrameToWrite } from './muxer.ts'

const first = part('p1', syntheticChunks({ durationMs: 12_000, bytesPerSecond: 20_000, seed: 1, keyframeEveryMs: 2_000 }))
const next = part('p2', syntheticChunks({ durationMs: 3_000, bytesPerSecond: 20_000, seed: 2 }), 7_900)
const at = (ms: number): string => new Date(FIRST_START + ms).toISOString()

/** The end of a part with every frame before `ceilMs`, a millisecond apart. */
function squeezed(frames: readonly FrameToWrite[], ceilMs: number): FrameToWrite[] {
  const limits = new Map<number, number>()
  const times = frames.toReversed().map(({ track, timeMs }) => {
    const time = Math.min(timeMs, (limits.get(track) ?? ceilMs) - 1)
    limits.set(track, time)
    return time
  }).toReversed()
  return frames.map((frame, i) => ({ ...frame, timeMs: times[i]! }))
}

/**
 * The first 8 s of a part and another one that begins 100 ms earlier in one file; in the next, what follows, behind a
 * repetition from 6 s on.
 */
function continued(): { tracks: ReturnType<typeof toWrite>['tracks']; files: [FrameToWrite[], FrameToWrite[]]; repeated: FrameToWrite[] } {
  const { tracks, frames } = toWrite([{ checked: first, shiftMs: 0 }])
  const other = toWrite([{ checked: next, shiftMs: 7_900 }])
  const stays = squeezed(frames.filter(({ timeMs }) => timeMs < 8_000), 7_900)
  const moved = (some: readonly FrameToWrite[]): FrameToWrite[] => some.map((frame) => ({ ...frame, timeMs: frame.timeMs - 6_000 }))
  const repeated = moved(stays.filter(({ timeMs }) => timeMs >= 6_000))
  return { tracks, files: [[...stays, ...other.frames], [...repeated, ...moved(frames.filter(({ timeMs }) => timeMs >= 8_000))]], repeated }
}

function codesOf(tracks: ReturnType<typeof toWrite>['tracks'], files: readonly FrameToWrite[][]): string[] {
  const bytes = files.map((frames) => mux({ tracks, frames }))
  const groups = partsOfFiles(bytes, [first, next], { files: [{ parts: ['p1', 'p2'] }, { parts: ['p1'] }] })
  return [...new Set(groups.flatMap((parts, i) => checkRecording({ file: bytes[i]!, parts }).findings.map(({ code }) => `${i} ${code}`)))].toSorted()
}

test('a repetition has frames at the times that they have in the earlier file, squeezed for another part', () => {
  const { tracks, files } = continued()
  assert.ok(files[0].some(({ timeMs }, i) => i > 0 && timeMs - files[0][i - 1]!.timeMs <= 1))
  assert.deepEqual(codesOf(tracks, files), [])
})

test('what is wrong with a repetition, and behind it, is still found', () => {
  const bent = (bend: (frames: FrameToWrite[], from: number) => FrameToWrite[]): string[] => {
    const { tracks, files, repeated } = continued()
    return codesOf(tracks, [files[0], bend(files[1], repeated.length)])
  }
  const foreign = (frame: FrameToWrite): FrameToWrite => ({ ...frame, data: frame.data.map((byte, i) => (i === 5 ? byte ^ 255 : byte)) })
  assert.deepEqual(bent((frames, from) => frames.map((frame, i) => (i === from - 1 ? foreign(frame) : frame))), ['1 frame-unknown'])
  assert.deepEqual(bent((frames, from) => frames.map((frame, i) => (i === from - 1 ? { ...frame, timeMs: frame.timeMs - 30 } : frame))).filter((code) => code.endsWith('frame-unknown')), ['1 frame-unknown'])
  assert.deepEqual(bent((frames, from) => frames.map((frame, i) => (i === from + 20 ? foreign(frame) : frame))), ['1 frame-bytes'])
  assert.deepEqual(bent((frames, from) => frames.filter((_, i) => i !== from + 20)), ['1 frame-missing'])
  assert.deepEqual(bent((frames, from) => [...frames.slice(0, from), frames[from - 1]!, ...frames.slice(from)]), ['1 frame-duplicated'])
  assert.deepEqual(bent((frames, from) => frames.map((frame, i) => (i === from + 20 ? { ...frame, timeMs: frame.timeMs - 12 } : frame))), ['1 frame-time'])
})

test('a file in which a part goes on may begin with a gap, where the status states when it begins', () => {
  const { tracks, frames } = toWrite([{ checked: first, shiftMs: 0 }])
  const goesOn = frames.filter(({ timeMs }) => timeMs >= 8_000).map((frame) => ({ ...frame, timeMs: frame.timeMs - 5_000 }))
  const files = [frames.filter(({ timeMs }) => timeMs < 6_000), goesOn].map((some) => mux({ tracks, frames: some }))
  const groups = partsOfFiles(files, [first], { files: [{ parts: ['p1'] }, { parts: ['p1'] }] })
  const offsets = (startedAt?: string): number => checkRecording({ file: files[1]!, parts: groups[1]!, ...(startedAt === undefined ? {} : { startedAt }) }).findings.filter(({ code }) => code === 'part-offset').length
  assert.deepEqual([offsets(), offsets(at(5_000)), offsets(at(4_000)), offsets(at(6_000))], [1, 0, 1, 1])
})

test('an MP4 that goes on in a later file has the init segment there, and every byte with times from its beginning on', () => {
  const { chunks } = loadRecording('chrome-mp4')
  const came = Buffer.from(concat(chunks))
  const part0: CheckedPart = { ...part('p1', chunks) }
  // Fragments begin at 101,922 and 184,978; the first file ends within one.
  const file0 = came.subarray(0, 150_000)
  const moved = (from: number): Buffer => {
    const rest = Buffer.from(came.subarray(from))
    const ticks = new Map<number, bigint>()
    for (let found = rest.indexOf('tfdt'); found >= 0; found = rest.indexOf('tfdt', found + 4)) {
      const track = rest.readUInt32BE(rest.lastIndexOf('tfhd', found) + 8)
      const time = rest.readBigUInt64BE(found + 8)
      if (!ticks.has(track)) ticks.set(track, time)
      rest.writeBigUInt64BE(time - ticks.get(track)!, found + 8)
    }
    return Buffer.concat([came.subarray(0, 1_200), rest])
  }
  const codesOfFile = (file1: Uint8Array): string[] => {
    const files = [file0, file1]
    return partsOfFiles(files, [part0], { files: [{ parts: ['p1'] }, { parts: ['p1'] }] }).flatMap((parts, i) => checkRecording({ file: files[i]!, parts }).findings.map(({ code }) => `${i} ${code}`))
  }
  assert.deepEqual(codesOfFile(moved(143_117)), [])
  assert.deepEqual(codesOfFile(moved(101_922)), [], 'it may repeat more')
  assert.deepEqual(codesOfFile(moved(184_978)), ['1 verbatim-bytes'], 'a fragment is in neither file')
  assert.deepEqual(codesOfFile(moved(143_117).subarray(1_200)), ['1 verbatim-bytes'], 'no init segment')
  assert.deepEqual(codesOfFile(moved(143_117).subarray(0, 190_000)), ['1 verbatim-bytes'], 'the end is missing')
  const changed = moved(143_117)
  changed[100_000]! ^= 255
  assert.deepEqual(codesOfFile(changed), ['1 verbatim-bytes'])
})
