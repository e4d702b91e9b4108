import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'

/** One input takes milliseconds; what has not ended after so long never will. */
const HANGS_AFTER_MS = 60_000

/** How fuzzers run: a few runs of a fixed seed, or as `npm run test:fuzz` says; with a path, the one failure that had it. */
function effort(): { seed: number; times: number; path: string | undefined } {
  const read = (name: string): number => {
    const value = Number(process.env[name] ?? '1')
    if (!Number.isSafeInteger(value)) throw new Error(`${name} is to be a whole number`)
    return value
  }
  return { seed: read('LONGTAKE_TEST_FUZZ_SEED'), times: read('LONGTAKE_TEST_FUZZ_TIMES'), path: process.env['LONGTAKE_TEST_FUZZ_PATH'] }
}

/**
 * A test that tries a property on many inputs. One that hangs is killed and named, which no other timeout can do to a
 * loop that never yields.
 * @param runs how many inputs in `npm test`; `npm run test:fuzz` takes more
 */
export function fuzz<T>(name: string, runs: number, input: fc.Arbitrary<T>, check: (input: T) => void | Promise<void>): void {
  test(name, async () => {
    const { seed, times, path } = effort()
    await using watchdog = new Watchdog(`${name}, seed ${seed}`)
    const property = fc.asyncProperty(input, async (value) => {
      watchdog.begin()
      await check(value)
    })
    await fc.assert(property, { seed, numRuns: runs * times, ...(path === undefined ? {} : { path }) })
  })
}

/** A thread of its own, since who hangs cannot say so. */
class Watchdog {
  readonly #begun = new Int32Array(new SharedArrayBuffer(4))
  readonly #thread: Worker

  constructor(what: string) {
    const source = `
      const { workerData: { begun, what, afterMs, pid } } = require('node:worker_threads')
      let last = -1
      setInterval(() => {
        const input = Atomics.load(begun, 0)
        if (input === last) {
          require('node:fs').writeSync(2, 'input ' + input + ' of "' + what + '" hangs\\n')
          process.kill(pid, 'SIGKILL')
        }
        last = input
      }, afterMs)`
    this.#thread = new Worker(source, { eval: true, workerData: { begun: this.#begun, what, afterMs: HANGS_AFTER_MS, pid: process.pid } })
  }

  begin(): void {
    Atomics.add(this.#begun, 0, 1)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread.terminate()
  }
}
