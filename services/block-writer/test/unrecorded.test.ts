import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PartState } from '@longtake/contracts'
import { loadRecording, recordingNames, syntheticChunks } from '@longtake/testkit'
import { buildHeader, ClusterWriter, StreamReader, type FinishedCluster, type Frame } from '@longtake/webm'
import { newPart, STARTED_AT, World } from './harness.ts'

/** A chunk with when it was captured, ms since the part's start. */
interface Captured {
  readonly bytes: Uint8Array
  readonly capturedMs: number
}

async function given(chunks: readonly Captured[], { mimeType = 'video/webm', order = [...chunks.keys()], owners = 1, closes = true } = {}): Promise<PartState> {
  const world = new World()
  world.own()
  const part = newPart({ mimeType })
  world.open(part)
  for (const [i, seq] of order.entries()) {
    world.chunk(part, seq, chunks[seq]!.bytes, chunks[seq]!.capturedMs)
    await world.pass(1_000)
    if (owners > 1 && i % Math.ceil(order.length / owners) === 0) world.own()
  }
  if (closes) world.closePart(part, chunks.length)
  await world.pass(10_000)
  return world.partState(part.part)
}
const found = ({ unrecorded = [] }: PartState): unknown[] => unrecorded.map(({ evidence, from, to, missingMs }) => [evidence, from, to, Math.round(missingMs / 100) / 10])

/** A second of recording a chunk, each captured as its last frame is. */
function everySecond(frames: readonly Frame[], header: Parameters<typeof mediaOf>[1]): Captured[] {
  const seconds = [...Map.groupBy(frames, ({ timeMs }) => Math.floor(timeMs / 1_000)).values()]
  return mediaOf(seconds, header).map((bytes, i) => ({ bytes, capturedMs: 80 + Math.max(...seconds[i]!.map(({ timeMs }) => timeMs)) }))
}

function mediaOf(groups: readonly (readonly Frame[])[], header: { readonly tracks: ConstructorParameters<typeof ClusterWriter>[0] }): Uint8Array[] {
  const writer = new ClusterWriter(header.tracks)
  const chunks = groups.map((frames) => {
    const clusters = frames.map((frame) => writer.add(frame, { track: frame.track, offsetMs: 0 }))
    return Buffer.concat([...clusters, writer.flush()].filter((cluster): cluster is FinishedCluster => cluster !== null).map(({ bytes }) => bytes))
  })
  const front = buildHeader({ tracks: header.tracks, durationMs: 0, cues: [], mediaBytes: chunks.reduce((sum, { length }) => sum + length, 0), size: 1_024 })
  return chunks.map((bytes, i) => (i === 0 ? Buffer.concat([front, bytes]) : bytes))
}

function read(name: Parameters<typeof loadRecording>[0]): { frames: Frame[]; header: Parameters<typeof mediaOf>[1]; isSound: (frame: Frame) => boolean } {
  const items = new StreamReader().push(Buffer.concat(loadRecording(name).chunks))
  const { header } = items.find((item) => item.kind === 'header')!
  const sound = new Set(header.tracks.filter(({ type }) => type === 'audio').map(({ number }) => number))
  return { header, frames: items.filter((item) => item.kind === 'frame'), isSound: ({ track }) => sound.has(track) }
}

test('given what browsers recorded, a second a chunk, then nothing is missing: in order, with holes, late, after a pause', async () => {
  for (const name of recordingNames) {
    const { chunks, mimeType } = loadRecording(name)
    // Of chunks of a single byte nearly all are captured at once.
    const perChunkMs = name === 'chrome-requestdata-one-byte-chunks' ? 240 : 1_000
    const captured = chunks.map((bytes, seq) => ({ bytes, capturedMs: (seq + 1) * perChunkMs + 100 }))
    for (const order of [[...chunks.keys()], [...chunks.keys()].filter((seq) => seq !== 3), [0, 1, 2, ...chunks.keys().drop(6), 5, 3, 4]]) {
      assert.deepEqual(found(await given(captured, { mimeType, order })), [], `${name} ${order.join(' ')}`)
    }
  }
  const hour = syntheticChunks({ durationMs: 600_000, seed: 5, frameMs: 60 }).map((bytes, seq) => ({ bytes, capturedMs: (seq + 1) * 1_000 + 200 }))
  assert.deepEqual(found(await given(hour)), [])
})

test('given sixty seconds captured of which the media holds twenty, then forty are reported, with chunks, media times and the clock', async () => {
  const { chunks, mimeType } = loadRecording('chrome-webcam-vp9-opus')
  const froze = chunks.map((bytes, seq) => ({ bytes, capturedMs: (seq + 1) * 1_000 + (seq < 12 ? 0 : 40_000) }))
  const state = await given(froze, { mimeType })
  const [gap, ...others] = state.unrecorded!
  assert.deepEqual([others, gap!.evidence, gap!.from, gap!.to], [[], 'clock', 12, 12])
  assert.ok(Math.abs(gap!.missingMs - 40_000) < 200, `${gap!.missingMs} ms`)
  assert.ok(gap!.startMs > 11_500 && gap!.endMs < 13_200, `${gap!.startMs}–${gap!.endMs}`)
  assert.deepEqual([gap!.startedAt, gap!.endedAt], [STARTED_AT + 12_000, STARTED_AT + 53_000].map((ms) => new Date(ms).toISOString()))
  assert.deepEqual([state.undecodable, state.missing], [[], []])
  const slow = chunks.map((bytes, seq) => ({ bytes, capturedMs: (seq + 1) * 3_000 }))
  const [[evidence, from, to, seconds]] = found(await given(slow, { mimeType })) as [[string, number, number, number]]
  assert.deepEqual([evidence, from, to], ['clock', 1, 19])
  assert.ok(seconds > 37 && seconds < 39, `${seconds} s`)
})

test('given the same, then it is found whoever writes it, in whatever order it comes, and only once it is sure', async () => {
  const { chunks, mimeType } = loadRecording('chrome-webcam-vp9-opus')
  const froze = chunks.map((bytes, seq) => ({ bytes, capturedMs: (seq + 1) * 1_000 + (seq < 12 ? 0 : 40_000) }))
  const expected = (await given(froze, { mimeType })).unrecorded
  assert.deepEqual((await given(froze, { mimeType, owners: 5 })).unrecorded, expected)
  assert.deepEqual((await given(froze, { mimeType, order: [...Array(20).keys()].filter((seq) => seq !== 4).concat(4) })).unrecorded, expected)
  assert.deepEqual(found(await given(froze.slice(0, 13), { mimeType, closes: false })), [])
  assert.equal((await given(froze.slice(0, 13), { mimeType })).unrecorded!.length, 1)
})

test('given a screen without sound, then a picture that stands still is nothing, and time that is not in the media is', async () => {
  const { frames, header } = read('chrome-screen-vp9')
  const still = frames.filter(({ timeMs, key }) => key || timeMs < 2_000 || timeMs > 9_500)
  assert.deepEqual(found(await given(everySecond(still, header))), [])
  const stopped = everySecond(frames.filter(({ timeMs }) => timeMs < 8_000), header).map((chunk, seq, all) => (seq === all.length - 1 ? { ...chunk, capturedMs: 60_000 } : chunk))
  assert.deepEqual(found(await given(stopped)), [], 'nothing moved until it was stopped')
  const froze = everySecond(frames, header).map(({ bytes, capturedMs }, seq) => ({ bytes, capturedMs: capturedMs + (seq < 5 ? 0 : 30_000) }))
  assert.deepEqual(found(await given(froze)), [['clock', 5, 5, 30]])
})

test('given an MP4, then its fragments tell it', async () => {
  const { chunks, mimeType } = loadRecording('chrome-mp4')
  const froze = chunks.map((bytes, seq) => ({ bytes, capturedMs: (seq + 1) * 1_000 + (seq < 4 ? 0 : 30_000) }))
  const [[evidence, from, to, seconds]] = found(await given(froze, { mimeType })) as [[string, number, number, number]]
  assert.deepEqual([evidence, from, to], ['clock', 4, 4])
  // Its fragments end up to a second before the chunk that they are in.
  assert.ok(seconds > 28 && seconds < 31, `${seconds} s`)
})

test('given sound that pauses, then that is reported; what an encoder leaves out of silence is not, nor a sound that ends', async () => {
  const { frames, header, isSound } = read('chrome-webcam-vp9-keyframe-2s')
  const without = (fromMs: number, toMs: number): Captured[] => everySecond(frames.filter((frame) => !isSound(frame) || frame.timeMs < fromMs || frame.timeMs >= toMs), header)
  const state = await given(without(5_000, 8_000))
  assert.deepEqual(found(state), [['sound', 8, 8, 3]])
  const { startMs, endMs, startedAt } = state.unrecorded![0]!
  assert.ok(Math.abs(startMs - 5_000) < 100 && Math.abs(endMs - 8_000) < 100, `${startMs}–${endMs}`)
  assert.ok(Math.abs(Date.parse(startedAt) - STARTED_AT - 5_000) < 200)
  // Of silence Opus sends a frame every 400 ms (DTX).
  const dtx = frames.filter((frame) => !isSound(frame) || frame.timeMs < 2_000 || frame.timeMs % 400 < 60)
  assert.deepEqual(found(await given(everySecond(dtx, header))), [])
  assert.deepEqual(found(await given(without(7_000, Infinity))), [])
  assert.deepEqual(found(await given(without(0, 700))), [], 'sound that starts later')
})

test('given sound that is missing because chunks are, then their gap reports it, and nothing else', async () => {
  const { chunks, mimeType } = loadRecording('chrome-audio-only')
  const captured = chunks.map((bytes, seq) => ({ bytes, capturedMs: (seq + 1) * 1_000 + 100 }))
  const damaged = captured.map((chunk, seq) => (seq === 5 ? { ...chunk, bytes: chunk.bytes.map((byte, i) => (i < 200 ? byte : 0xff)) } : chunk))
  assert.deepEqual(found(await given(damaged, { mimeType })), [])
})
