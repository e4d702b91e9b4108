import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ReportedGap } from '../src/check-gaps.ts'
import { checkRecording, type CheckedPart } from '../src/check-recording.ts'
import { assertContent } from '../src/findings.ts'
import { readRecordedPart } from '../src/recorder-output.ts'
import { concat } from '../src/bytes.ts'
import { loadRecording } from '../src/recordings.ts'
import { syntheticChunks } from '../src/synthetic.ts'
import { chunkMap, codes, part, toWrite } from './good-file.ts'
import { mux } from './muxer.ts'

const chunks = syntheticChunks({ durationMs: 20_000, bytesPerSecond: 20_000, seed: 4 })
const whole = readRecordedPart(chunkMap(chunks))
const lost = (from: number, to: number): ReportedGap => ({ from, to, kind: 'lost', startMs: null, endMs: null })
const undecodable = (from: number, to: number): ReportedGap => ({ ...lost(from, to), kind: 'undecodable' })

/** A part that lacks chunks, and the file that a right writer makes of it. */
function withHole(without: number[], gaps: ReportedGap[], shape: Partial<CheckedPart> = {}) {
  const one: CheckedPart = { ...part('p1', chunkMap(chunks, without)), gaps, ...shape }
  return { one, file: mux(toWrite([{ checked: one, shiftMs: 0 }])) }
}

test('behind a hole it goes on at the next Cluster, with video from its keyframe; all else is kept', () => {
  const { frames, dropped, skipped } = readRecordedPart(chunkMap(chunks, [6]))
  const kept = new Set(frames.map(({ identity }) => identity))
  assert.ok(whole.frames.filter(({ chunks: [, to] }) => to < 6).every(({ identity }) => kept.has(identity)))
  assert.ok(whole.frames.filter(({ chunks: [from, to] }) => from <= 6 && to >= 6).every(({ identity }) => !kept.has(identity)))
  // Keyframes come every 2 s and begin a Cluster, so that everything is back in the chunk after the next at the latest.
  assert.ok(whole.frames.filter(({ chunks: [from] }) => from > 9).every(({ identity }) => kept.has(identity)))
  const firstVideoBehind = frames.find(({ kind, chunks: [from] }) => kind === 'video' && from > 6)
  assert.equal(firstVideoBehind?.key, true)
  assert.deepEqual(dropped, [])
  assert.deepEqual(skipped.map(({ from }) => from), [7])
})

test('where a Cluster begins without a keyframe, its audio is kept and its video dropped', () => {
  const slow = chunkMap(syntheticChunks({ durationMs: 70_000, keyframeEveryMs: 50_000, bytesPerSecond: 4_000, seed: 4 }), [5])
  const { frames, dropped } = readRecordedPart(slow)
  const between = frames.filter(({ timeMs }) => timeMs > 6_000 && timeMs < 50_000)
  assert.deepEqual([...new Set(between.map(({ kind }) => kind))], ['audio'])
  assert.deepEqual([between[0]?.timeMs, between.at(-1)?.timeMs], [30_000, 49_980])
  assert.deepEqual([...new Set(dropped.map(({ kind }) => kind))], ['video'])
  assert.equal(dropped.length, 500)
})

test('without the head of a part nothing of it can be played', () => {
  const { tracks, frames, skipped } = readRecordedPart(chunkMap(chunks, [0]))
  assert.deepEqual([tracks, frames, skipped], [null, [], [{ from: 1, to: chunks.length - 1 }]])
})

test('a hole that is told of leaves the checker content', () => {
  const { one, file } = withHole([6], [lost(6, 6), undecodable(7, 7)])
  assertContent(checkRecording({ file, parts: [one] }).findings)
  const byTime = withHole([6], [{ ...lost(6, 6), startMs: 6_000, endMs: 8_000 }])
  assertContent(checkRecording({ file: byTime.file, parts: [byTime.one] }).findings)
})

test('found: a hole that nobody tells of', () => {
  const { one, file } = withHole([6, 7, 12], [])
  const { findings, summary } = checkRecording({ file, parts: [one] })
  assert.deepEqual(codes({ findings }), ['gap-undeclared'])
  assert.deepEqual(findings.map((found) => found.chunks), [[6, 7], [12, 12], [8, 13]])
  assert.equal(summary.undeclaredHoles, 3)
})

test('found: a gap that is too small, or elsewhere', () => {
  const small = withHole([6, 7], [lost(6, 6), undecodable(8, 9)])
  assert.deepEqual(checkRecording({ file: small.file, parts: [small.one] }).findings.map((found) => found.chunks), [[7, 7]])
  const untold = withHole([6], [lost(6, 6)])
  assert.deepEqual(codes(checkRecording({ file: untold.file, parts: [untold.one] })), ['gap-undeclared'])
  const elsewhere = withHole([6], [lost(6, 6), undecodable(8, 8)])
  assert.deepEqual(codes(checkRecording({ file: elsewhere.file, parts: [elsewhere.one] })), ['gap-undeclared'])
})

test('found: a gap over data', () => {
  const { one, file } = withHole([6], [lost(5, 6), undecodable(7, 7)])
  const { findings } = checkRecording({ file, parts: [one] })
  assert.deepEqual(findings.map((found) => [found.code, found.chunks]), [['gap-over-data', [5, 5]]])
})

test('found: a missing tail of a part whose length was declared', () => {
  const last = chunks.length - 1
  const { one, file } = withHole([last], [], { length: chunks.length })
  assert.deepEqual(checkRecording({ file, parts: [one] }).findings.map((found) => [found.code, found.chunks]), [['gap-undeclared', [last, last]]])
  assertContent(checkRecording({ file, parts: [{ ...one, gaps: [lost(last, last)] }] }).findings)
})

test('found: a writer that plays on through a hole', () => {
  const { one } = withHole([6], [lost(6, 6), undecodable(7, 7)])
  const bent = toWrite([{ checked: one, shiftMs: 0 }])
  const orphan = whole.frames.find(({ kind, chunks: [from, to] }) => kind === 'video' && from === 7 && to === 7)
  const at = bent.frames.findIndex(({ timeMs }) => timeMs > (orphan?.timeMs ?? 0))
  bent.frames.splice(at, 0, { track: 1, timeMs: orphan?.timeMs ?? 0, key: false, data: orphan?.data ?? new Uint8Array(0) })
  assert.deepEqual(codes(checkRecording({ file: mux(bent), parts: [one] })), ['frame-unknown'])
})

test('found: a writer that leaves out more than the hole', () => {
  const { one } = withHole([6], [lost(6, 6), undecodable(7, 7)])
  const bent = toWrite([{ checked: one, shiftMs: 0 }])
  const firstBehind = bent.frames.findIndex(({ timeMs }) => timeMs >= 8_000)
  bent.frames.splice(firstBehind + 1, 3)
  assert.deepEqual(codes(checkRecording({ file: mux(bent), parts: [one] })), ['frame-missing'])
})

test('real recordings with a hole anywhere: what is kept is a selection of the whole, in order', () => {
  for (const name of ['chrome-webcam-vp9-opus', 'chrome-requestdata-one-byte-chunks', 'firefox-webcam-vp8', 'chrome-audio-only'] as const) {
    const all = loadRecording(name).chunks
    const order = new Map(readRecordedPart(chunkMap(all)).frames.map((frame, index) => [`${frame.identity}@${frame.timeMs}`, index]))
    for (let seq = 1; seq < all.length; seq += 1) {
      const { frames, dropped } = readRecordedPart(chunkMap(all, [seq]))
      const places = frames.map((frame) => order.get(`${frame.identity}@${frame.timeMs}`) ?? -1)
      assert.deepEqual(places, [...new Set(places)].toSorted((a, b) => a - b), `${name} without ${seq}`)
      assert.ok(!places.includes(-1), `${name} without ${seq}`)
      assert.ok(frames.length + dropped.length < order.size || all[seq]?.length === 1, `${name} without ${seq}`)
    }
  }
})

test('bytes that are no recording give no frames and no endless loop', () => {
  const noise = concat([chunks[0] as Uint8Array, new Uint8Array(5000), chunks[5] as Uint8Array, Uint8Array.of(0x1f, 0x43, 0xb6, 0x75)])
  assert.ok(readRecordedPart(chunkMap([noise])).frames.length > 0)
  assert.deepEqual(readRecordedPart(chunkMap([new Uint8Array(5000)])).frames, [])
  assert.deepEqual(readRecordedPart(new Map()).frames, [])
})
