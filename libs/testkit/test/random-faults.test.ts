import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, type Random } from '../src/random.ts'
import { codes, judge, syntheticCase, twoPartCase } from './good-file.ts'
import type { FrameToWrite } from './muxer.ts'

const time = (frame: FrameToWrite, by: number): FrameToWrite => ({ ...frame, timeMs: frame.timeMs + by })

/** Faults of a writer, at random places; each must be found, whatever else is found with it. */
const faults: ((frames: FrameToWrite[], random: Random) => void)[] = [
  (frames, random) => void frames.splice(random.between(0, frames.length - 20), random.between(1, 20)),
  (frames, random) => {
    const from = random.between(0, frames.length - 20)
    frames.splice(from + 20, 0, ...frames.slice(from, from + random.between(1, 20)))
  },
  (frames, random) => {
    const taken = frames.splice(random.between(0, frames.length - 200), random.between(1, 50))
    frames.splice(random.between(frames.length - 100, frames.length), 0, ...taken.map((frame) => time(frame, 1)))
  },
  (frames, random) => {
    const at = random.between(0, frames.length - 1)
    const data = Uint8Array.from(frames[at]?.data ?? [])
    const byte = random.between(0, data.length - 1)
    data[byte] = (data[byte] ?? 0) ^ (1 << random.between(0, 7))
    frames[at] = { ...(frames[at] as FrameToWrite), data }
  },
  (frames, random) => {
    const at = random.between(0, frames.length - 1)
    frames[at] = { ...(frames[at] as FrameToWrite), key: frames[at]?.key !== true }
  },
  (frames, random) => {
    const at = random.between(1, frames.length - 1)
    frames[at] = time(frames[at] as FrameToWrite, random.pick([-9, -2, 2, 9, 100]))
  },
]

test('every fault is found, wherever it is, alone and with others', () => {
  for (let seed = 0; seed < 120; seed += 1) {
    const random = seededRandom(seed)
    const bent = seed % 3 === 0 ? twoPartCase() : syntheticCase({ seed, tracks: random.pick([['video'], ['audio'], ['audio', 'video']]) })
    for (let index = random.between(0, 2); index >= 0; index -= 1) random.pick(faults)(bent.file.frames, random)
    assert.notDeepEqual(codes(judge(bent)), [], `seed ${seed}`)
  }
})

test('any flipped bit of the media is found', () => {
  const whole = syntheticCase({ durationMs: 3_000, bytesPerSecond: 6_000 })
  for (let seed = 0; seed < 1000; seed += 1) {
    const random = seededRandom(seed)
    let where = 0
    const verdict = judge(whole, (file) => {
      const bent = Uint8Array.from(file)
      // Behind the header, where the writer's name and its spare space are.
      where = random.between(8_300, bent.length - 1)
      bent[where] = (bent[where] ?? 0) ^ (1 << random.between(0, 7))
      return bent
    })
    assert.notDeepEqual(codes(verdict), [], `seed ${seed}: a bit at ${where}`)
  }
})
