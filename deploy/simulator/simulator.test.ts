import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

const SEEDS = { tiny: 300, small: 100 }

/**
 * The command's output, in a process of its own: it replaces clocks and timers, and node:test would track each of its
 * millions of promises. Rejects, with the output, when a promise was broken.
 */
function simulate(...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [join(import.meta.dirname, 'run.ts'), ...args], (error, output) => {
      if (error === null) resolve(output)
      else reject(new Error(`simulate ${args.join(' ')} failed:\n${output}`, { cause: error }))
    })
  })
}

const digests = (output: string): string[] => output.split('\n').filter((line) => line.includes(': digest '))

test('the same seed gives the same run to the byte, in whatever process and after whatever runs', async () => {
  const several = digests(await simulate('--seed', '3', '--seeds', '3', '--digest'))
  const [alone] = digests(await simulate('--seed', '5', '--seeds', '1', '--digest'))
  assert.equal(several.length, 3)
  assert.equal(several.at(-1), alone)
  assert.equal(new Set(several.map((line) => line.split(' ')[3])).size, 3)
})

for (const [size, seeds] of Object.entries(SEEDS)) {
  test(`every promise is kept in ${seeds} ${size} seeds`, async () => {
    const output = await simulate('--size', size, '--seeds', String(seeds))
    assert.match(output, new RegExp(`^${seeds} seeds.*every promise was kept`, 'm'))
  })
}

test('the oracle finds each lie of the surroundings', async () => {
  assert.doesNotMatch(await simulate('--mutations', '--seeds', '20'), /not found/)
})
