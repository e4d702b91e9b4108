import assert from 'node:assert/strict'
import { it } from 'node:test'
import { levelOf } from '../src/media/audio-level.ts'

const sine = (amplitude: number): Float32Array => Float32Array.from({ length: 4800 }, (_, i) => amplitude * Math.sin((2 * Math.PI * i) / 48))

for (const [what, samples, rms, peak] of [
  ['silence', new Float32Array(64), 0, 0],
  ['no sample', new Float32Array(0), 0, 0],
  ['a full tone', sine(1), Math.SQRT1_2, 1],
  ['a tone of half the height', sine(0.5), Math.SQRT1_2 / 2, 0.5],
  ['the lower half of a square wave', Float32Array.of(-0.25, -0.25), 0.25, 0.25],
] as const) {
  it(`the level of ${what} is ${rms.toFixed(3)}, its peak ${peak}`, () => {
    const level = levelOf(samples)
    assert.ok(Math.abs(level.rms - rms) < 1e-4, String(level.rms))
    assert.ok(Math.abs(level.peak - peak) < 1e-4, String(level.peak))
  })
}
