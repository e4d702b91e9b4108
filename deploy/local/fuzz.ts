import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startChild } from './child.ts'
import { reportSetupError, untilStopped } from './run.ts'
import { SetupError } from './setup-error.ts'
import { ROOT, testFiles } from './test-files.ts'

const USAGE = 'npm run test:fuzz [-- [--minutes n] [--seed n] [paths …]]'
/** So many times the inputs that a fuzzer takes in `npm test` make one round: a minute or so. */
const TIMES = 10

function readArguments() {
  try {
    return parseArgs({ options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' } }, allowPositionals: true })
  } catch (error) {
    // The first sentence says it all.
    throw new SetupError(`${(error as Error).message.split('. ')[0]}: ${USAGE}`)
  }
}

/** Runs all fuzzers with one seed after another until the time is over or one has found something. */
async function main(): Promise<number> {
  const { values, positionals } = readArguments()
  const minutes = Number(values.minutes)
  const firstSeed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed)
  const files = testFiles('unit', positionals).filter((file) => file.endsWith('.fuzz.test.ts'))
  if (!(minutes > 0) || !Number.isInteger(firstSeed)) throw new SetupError(USAGE)
  if (files.length === 0) throw new SetupError(`there is no fuzzer (*.fuzz.test.ts) in ${positionals.join(', ')}: ${USAGE}`)
  const endAt = Date.now() + minutes * 60_000
  const stopping = new AbortController()
  void abortWhenStopped(stopping)
  let rounds = 0
  for (let seed = firstSeed; !stopping.signal.aborted && Date.now() < endAt; seed = (seed + 1) % 2 ** 31, rounds++) {
    for (const file of files) {
      if (stopping.signal.aborted || Date.now() >= endAt) break
      const env = { ...process.env, LONGTAKE_TEST_FUZZ_SEED: String(seed), LONGTAKE_TEST_FUZZ_TIMES: String(TIMES) }
      const args = ['--disable-warning=ExperimentalWarning', '--test', '--test-reporter=dot', file]
      const child = await startChild({ name: 'fuzz', command: join(ROOT, 'node_modules', '.bin', 'node'), args, cwd: ROOT, env, output: 'inherit' })
      const stop = (): void => child.signal('SIGTERM')
      stopping.signal.addEventListener('abort', stop)
      const { code } = await child.exited
      stopping.signal.removeEventListener('abort', stop)
      if (code === 0 || stopping.signal.aborted) continue
      console.log(`\n${file} found something. Once more (or at once, with LONGTAKE_TEST_FUZZ_PATH=… as said above):\n\n  LONGTAKE_TEST_FUZZ_SEED=${seed} LONGTAKE_TEST_FUZZ_TIMES=${TIMES} npm test -- unit ${file}\n`)
      return 1
    }
    console.log(` seed ${seed} is done`)
  }
  console.log(`${rounds} rounds from seed ${firstSeed} on found nothing`)
  return 0
}

async function abortWhenStopped(stopping: AbortController): Promise<void> {
  stopping.abort(await untilStopped())
}

await main().then((code) => process.exit(code), reportSetupError)
