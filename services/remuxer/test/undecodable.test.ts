import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Packet, undecodableSpans } from '../src/undecodable.ts'

/** Ten seconds of 10 frames a second with a keyframe every second, and packets of sound every 20 ms. */
const video: Packet[] = Array.from({ length: 100 }, (_, i) => ({ ms: i * 100, isKey: i % 10 === 0 }))
const sound: Packet[] = Array.from({ length: 500 }, (_, i) => ({ ms: i * 20, isKey: true }))
const without = (packets: readonly Packet[], ...gone: number[]): number[] =>
  packets.map(({ ms }) => ms).filter((ms) => !gone.includes(ms))
const spans = (media: 'video' | 'audio', packets: readonly Packet[], frames: readonly number[]): number[][] =>
  undecodableSpans([{ media, packets, frames }], 10_000).map(({ startMs, endMs }) => [startMs, endMs])

test('a missing picture spoils what follows up to the next keyframe that is shown', () => {
  assert.deepEqual(spans('video', video, without(video)), [])
  assert.deepEqual(spans('video', video, without(video, 2300)), [[2300, 3000]])
  assert.deepEqual(spans('video', video, without(video, 2300, 2700, 3000, 3100)), [[2300, 4000]])
  assert.deepEqual(spans('video', video, without(video, 2300, 5000)), [
    [2300, 3000],
    [5000, 6000],
  ])
})

test('without a keyframe behind it the picture is missing up to the end of the file', () => {
  assert.deepEqual(spans('video', video, without(video, 9500)), [[9500, 10_000]])
  const few = video.map((packet, i) => ({ ...packet, isKey: i === 0 }))
  assert.deepEqual(spans('video', few, without(few, 300)), [[300, 10_000]])
})

test('of sound only the packets themselves are missing', () => {
  assert.deepEqual(spans('audio', sound, without(sound, 1000, 1020, 4000, 9980)), [
    [1000, 1040],
    [4000, 4020],
    [9980, 10_000],
  ])
  const paused = sound.filter(({ ms }) => ms <= 1000 || ms >= 5000)
  assert.deepEqual(spans('audio', paused, without(paused, 1000)), [[1000, 1120]], 'not the pause behind it')
})

test('times that were rounded, or moved by a decoder, are the same frames', () => {
  assert.deepEqual(
    spans(
      'audio',
      sound,
      sound.map(({ ms }) => ms - 80),
    ),
    [],
  )
  assert.deepEqual(
    spans(
      'video',
      video,
      video.map(({ ms }) => ms + 3.3),
    ),
    [],
  )
  assert.deepEqual(
    spans(
      'video',
      video,
      without(video, 4200).map((ms) => ms + 1),
    ),
    [[4200, 5000]],
  )
})

test('a frame that is never shown is not missing', () => {
  const hidden = [...video, { ms: 2500, isKey: false }, { ms: 4301, isKey: false }]
  assert.deepEqual(spans('video', hidden, without(video)), [])
  assert.deepEqual(spans('video', hidden, without(video, 4700)), [[4700, 5000]])
})

test('more spans than an event may have are joined at their shortest distances', () => {
  const damaged = sound.filter((_, i) => i % 4 === 0).map(({ ms }) => ms)
  const found = undecodableSpans(
    [
      { media: 'video', packets: video, frames: without(video, 500) },
      { media: 'audio', packets: sound, frames: without(sound, ...damaged) },
    ],
    10_000,
  )
  assert.ok(found.length <= 100 && found.length >= 2)
  assert.deepEqual(
    found.filter(({ media }) => media === 'video'),
    [{ media: 'video', startMs: 500, endMs: 1000 }],
  )
  const [first, last] = [damaged[0]!, damaged.at(-1)!]
  assert.ok(
    found.some(({ media, startMs }) => media === 'audio' && startMs === first) &&
      found.some(({ media, endMs }) => media === 'audio' && endMs === last + 20),
  )
})
