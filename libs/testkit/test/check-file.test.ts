import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { concat } from '../src/bytes.ts'
import { endOfFrames } from '../src/check-index.ts'
import { findCluster, readHead } from '../src/ebml.ts'
import { elementSize, uint } from '../src/elements.ts'
import { findFfprobe } from '../src/ffmpeg.ts'
import { assertContent, Findings } from '../src/findings.ts'
import { readFinishedFile, type FinishedFile } from '../src/finished-file.ts'
import { mux, type CueToWrite, type FileToWrite } from './muxer.ts'
import { codes, fixtureCase, judge, syntheticCase } from './good-file.ts'

const good = mux(syntheticCase().file)
const clusterAt = (n: number): number => {
  let at = -1
  for (let index = 0; index <= n; index += 1) at = findCluster(good, at + 1)
  return at
}
/** Begins with a keyframe that has a cue. */
const fifth = clusterAt(4)
const segmentAt = readHead(good, 0, good.length) as { dataAt: number; size: number }
const segmentSizeAt = segmentAt.dataAt + segmentAt.size + 4
const segmentSize = (readHead(good, segmentSizeAt - 4, good.length) as { size: number }).size
const clusterSize = (readHead(good, fifth, good.length) as { size: number }).size

/** Writes bytes over a copy. */
const patched = (at: number, bytes: Uint8Array) => (file: Uint8Array): Uint8Array => {
  const copy = Uint8Array.from(file)
  copy.set(bytes, at)
  return copy
}

const bentBytes: Record<string, [(file: Uint8Array) => Uint8Array, string[]]> = {
  'a cluster size one too large': [patched(fifth + 4, elementSize(clusterSize + 1, 8)), ['element-size']],
  'a cluster size one too small': [patched(fifth + 4, elementSize(clusterSize - 1, 8)), ['element-size']],
  'a cluster of unknown size': [patched(fifth + 4, Uint8Array.of(1, 255, 255, 255, 255, 255, 255, 255)), ['unknown-size']],
  'a Segment of unknown size': [patched(segmentSizeAt, Uint8Array.of(1, 255, 255, 255, 255, 255, 255, 255)), ['unknown-size']],
  'a Segment that ends before the file': [patched(segmentSizeAt, elementSize(segmentSize - 1, 8)), ['segment-size']],
  'a Segment that ends behind the file': [patched(segmentSizeAt, elementSize(segmentSize + 1, 8)), ['truncated']],
  'a truncated file': [(file) => file.slice(0, -60_000), ['cue-cluster', 'duration', 'tail-missing', 'truncated']],
  'bytes behind the end': [(file) => concat([file, Uint8Array.of(0, 0, 0)]), ['element-size', 'segment-size']],
  'a second recording behind the first': [(file) => concat([file, file]), ['cluster-time', 'ebml-header', 'element-unexpected', 'frame-duplicated', 'segment-size', 'time-backwards']],
  'no EBML header': [(file) => file.slice(5), ['ebml-header', 'tail-missing', 'track-header']],
  'a cluster whose time is lower than that before': [patched(fifth + 12, uint(0xe7, 1, 2)), ['cluster-time', 'cue-time', 'frame-time', 'time-backwards']],
  'a block of a track that does not exist': [patched(fifth + 12 + 4 + 5, Uint8Array.of(0x89)), ['block', 'cue-block', 'frame-missing']],
  'a cluster without a timestamp': [patched(fifth + 12, Uint8Array.of(0xec)), ['block', 'cluster-time', 'cue-block', 'frame-missing']],
  'an element that has no business in a cluster': [patched(fifth + 12, Uint8Array.of(0xd7)), ['block', 'cluster-time', 'cue-block', 'element-unexpected', 'frame-missing']],
}

for (const [what, [bend, expected]] of Object.entries(bentBytes)) {
  test(`found: ${what}`, () => {
    const verdict = judge(syntheticCase(), bend)
    assert.deepEqual(codes(verdict), expected, verdict.findings.map(({ message }) => message).join('\n'))
  })
}

const bendOne = (bend: (cue: CueToWrite) => Partial<CueToWrite>) => (cues: CueToWrite[]): CueToWrite[] =>
  cues.map((cue, index) => (index === 2 ? { ...cue, ...bend(cue) } : cue))
const audioCues = (cues: CueToWrite[]): CueToWrite[] => cues.map((cue) => ({ ...cue, track: 2 }))

const bentHeaders: Record<string, [Partial<FileToWrite>, string[]]> = {
  'a duration that is too long': [{ durationMs: 12_300 }, ['duration']],
  'a duration that ends before the last frame': [{ durationMs: 11_900 }, ['duration']],
  'no duration': [{ durationMs: null }, ['duration']],
  'a cue that points into the middle of a cluster': [{ bendCues: bendOne(({ clusterPosition }) => ({ clusterPosition: clusterPosition + 7 })) }, ['cue-cluster']],
  'a cue that points at the wrong cluster': [{ bendCues: (cues) => bendOne(() => ({ clusterPosition: cues[1]?.clusterPosition ?? 0 }))(cues) }, ['cue-time']],
  'a cue that points between blocks': [{ bendCues: bendOne(({ relativePosition }) => ({ relativePosition: relativePosition + 1 })) }, ['cue-block']],
  'a cue with a wrong time': [{ bendCues: bendOne(({ time }) => ({ time: time + 3 })) }, ['cue-time']],
  'cues of the audio track': [{ bendCues: audioCues }, ['cue-block', 'cue-track']],
  'cues in the wrong order': [{ bendCues: (cues) => cues.toReversed() }, ['cue-time']],
  'a keyframe without a cue': [{ bendCues: (cues) => cues.toSpliced(2, 1) }, ['cue-missing']],
  'no cues at all': [{ bendCues: () => [] }, ['cue-missing']],
  'cues behind the media': [{ cuesAtEnd: true }, ['cue-missing']],
  'a DocType that is none': [{ docType: 'web' }, ['ebml-header']],
}

for (const [what, [bent, expected]] of Object.entries(bentHeaders)) {
  test(`found: ${what}`, () => {
    const one = syntheticCase()
    Object.assign(one.file, bent)
    const verdict = judge(one)
    assert.deepEqual(codes(verdict), expected, verdict.findings.map(({ message }) => message).join('\n'))
  })
}

test('found: a track described otherwise than recorded', () => {
  for (const change of [{ codec: 'V_VP8' }, { samplingFrequency: 44_100 }, { channels: 2 }, { codecPrivate: Uint8Array.of(1) }, { codecDelay: 7 }]) {
    const one = syntheticCase()
    one.file.tracks = one.file.tracks.map((track) => ((track.kind === 'video') === ('codec' in change) ? { ...track, ...change } : track))
    assert.deepEqual(codes(judge(one)), ['track-header'], JSON.stringify(change))
  }
})

test('found: a SeekHead that points elsewhere', () => {
  const seekPosition = Buffer.from(good).indexOf(Buffer.of(0x53, 0xac, 0x84))
  assert.deepEqual(codes(judge(syntheticCase(), patched(seekPosition + 3, Uint8Array.of(0, 0, 0, 1)))), ['seek-position'])
})

test('several frames of one time at the end last as long as the one before them', () => {
  const frames = [0, 499, 998, 998].map((timeMs) => ({ track: 1, timeMs, durationMs: 0 }))
  const file = { tracks: [{ number: 1, defaultDuration: 0 }], frames } as unknown as FinishedFile
  assert.deepEqual(endOfFrames(file), { earliest: 998, latest: 1497 })
})

test('cues may be thinned evenly where not all fit in front', () => {
  const one = syntheticCase({ durationMs: 60_000, keyframeEveryMs: 1000 })
  one.file.headerBytes = 1024
  one.file.bendCues = (cues) => cues.filter((_, index) => index % 2 === 0)
  assertContent(judge(one).findings)
  one.file.headerBytes = 8192
  assert.deepEqual(codes(judge(one)), ['cue-missing'])
})

test('what ffprobe reads in a muxed file is what the checker reads', () => {
  const folder = mkdtempSync(join(tmpdir(), 'longtake-checker-'))
  try {
    const path = join(folder, 'file.webm')
    const bytes = mux(fixtureCase('chrome-webcam-vp9-keyframe-2s').file)
    writeFileSync(path, bytes)
    const output = execFileSync(findFfprobe(), ['-v', 'warning', '-show_entries', 'packet=codec_type,pts_time,flags,size:format=duration', '-of', 'json', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    const { packets, format } = JSON.parse(output) as { packets: { codec_type: string; pts_time: string; flags: string; size: string }[]; format: { duration: string } }
    const findings = new Findings()
    const file = readFinishedFile(bytes, findings)
    assertContent(findings.all)
    assert.equal(Number(format.duration) * 1000, file.durationMs)
    const inOrder = (frames: { kind: string; timeMs: number; key: boolean; size: number }[]) => frames.toSorted((a, b) => a.timeMs - b.timeMs || a.size - b.size)
    assert.deepEqual(
      inOrder(file.frames.map(({ kind, timeMs, key, data }) => ({ kind, timeMs, key, size: data.length }))),
      inOrder(packets.map(({ codec_type: kind, pts_time: time, flags, size }) => ({ kind, timeMs: Math.round(Number(time) * 1000), key: flags.includes('K'), size: Number(size) }))),
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})
