import { existsSync, globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { buildBundles } from './build.ts'
import { startChild } from './child.ts'
import { startTestInfrastructure, type TestInfrastructure } from './infrastructure.ts'
import { reportSetupError, untilStopped } from './run.ts'
import { SetupError } from './setup-error.ts'
import { type Kind, ROOT, testFiles } from './test-files.ts'
import { prepareUws } from './uws-glibc.ts'

const USAGE = 'npm test [-- types|lint|unit|integration|e2e …] [paths …]'
const BIN = join(ROOT, 'node_modules', '.bin')
/** No test may hang for ever; the longest end-to-end test is far below. */
const TEST_TIMEOUT_MS = 15 * 60_000

interface Step {
  name: string
  /** Whether it passed. */
  run(): Promise<boolean>
}

interface Result {
  name: string
  passed: boolean
  seconds: number
}

/** What a developer's shell says about a running system must not reach the tests: they have their own. */
function testEnvironment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const foreign = /^(LONGTAKE_(?!TEST_)|KAFKA_|AZURE_|OTEL_)/
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)))
  return { ...own, ...extra }
}

let endRunning: () => void = () => undefined
let stoppedBy: string | undefined

/** Runs a program of node_modules/.bin with the terminal as its output. */
async function runProgram(name: string, args: string[], env: NodeJS.ProcessEnv = testEnvironment()): Promise<boolean> {
  if (stoppedBy !== undefined) return false
  const child = await startChild({ name, command: join(BIN, name), args, cwd: ROOT, env, output: 'inherit' })
  endRunning = () => process.kill(-child.pid, 'SIGTERM')
  const { code } = await child.exited
  endRunning = () => undefined
  return code === 0
}

async function types(): Promise<boolean> {
  const projects = [
    '.',
    ...globSync(['libs/*/tsconfig.json', 'libs/*/test/tsconfig.json', 'services/*/tsconfig.json', 'services/*/*/tsconfig.json', 'deploy/*/tsconfig.json', 'load-tests/tsconfig.json'], {
      cwd: ROOT,
    })
      .map(dirname)
      .toSorted(),
  ]
  let passed = true
  for (const project of projects) {
    if (await runProgram('tsc', ['-p', project])) continue
    console.log(`types are wrong in ${project}`)
    passed = false
  }
  return passed
}

function runTests(files: string[], concurrency: number, env?: Record<string, string>): Promise<boolean> {
  return runProgram(
    'node',
    [
      '--disable-warning=ExperimentalWarning',
      '--disable-warning=TimeoutNegativeWarning',
      '--test',
      `--test-concurrency=${concurrency}`,
      `--test-timeout=${TEST_TIMEOUT_MS}`,
      ...files,
    ],
    testEnvironment(env),
  )
}

async function integration(files: string[], concurrency: number): Promise<boolean> {
  if (process.env['LONGTAKE_TEST_KAFKA'] && process.env['LONGTAKE_TEST_AZURITE']) return runTests(files, concurrency)
  const infrastructure: TestInfrastructure = await startTestInfrastructure(console.log)
  try {
    return await runTests(files, concurrency, infrastructure.env)
  } finally {
    await infrastructure.stop()
  }
}

/** Each has a whole system of its own, which mostly waits; more than two of them would need more memory than every machine has. */
async function endToEnd(files: string[], concurrency: number): Promise<boolean> {
  // Else two systems that start at once would write the same files.
  await buildBundles(console.log)
  return runTests(files, concurrency)
}

function planSteps(args: string[]): Step[] {
  const cores = availableParallelism()
  const names = ['types', 'lint', 'unit', 'integration', 'e2e']
  const chosen = args.filter((arg) => names.includes(arg))
  const paths = args.filter((arg) => !names.includes(arg))
  const unknown = paths.find((path) => !existsSync(resolve(ROOT, path)))
  if (unknown !== undefined) throw new SetupError(`${unknown} is neither a step nor a path: ${USAGE}`)
  const steps: Step[] = []
  const wants = (name: string): boolean => chosen.length === 0 || chosen.includes(name)
  if (wants('types')) steps.push({ name: 'types', run: types })
  if (wants('lint')) steps.push({ name: 'lint', run: () => runProgram('oxlint', paths) })
  const addTests = (kind: Kind, run: (files: string[]) => Promise<boolean>): void => {
    const files = wants(kind) ? testFiles(kind, paths) : []
    if (files.length > 0) steps.push({ name: kind, run: () => run(files) })
  }
  addTests('unit', (files) => runTests(files, cores))
  // They mostly wait, for sessions that time out and processes that come back.
  addTests('integration', (files) => integration(files, Math.min(cores, 2) + 1))
  addTests('e2e', (files) => endToEnd(files, Math.min(cores, 2)))
  if (steps.length === 0) throw new SetupError(`there are no such tests: ${USAGE}`)
  return steps
}

async function endWhenStopped(): Promise<void> {
  stoppedBy = await untilStopped()
  endRunning()
}

async function main(): Promise<number> {
  void endWhenStopped()
  const steps = planSteps(process.argv.slice(2))
  prepareUws((line) => console.log(line))
  const results: Result[] = []
  for (const step of steps) {
    const { name } = step
    console.log(`\n━━ ${name} ${'━'.repeat(60 - name.length)}\n`)
    const start = performance.now()
    const passed = await step.run()
    if (stoppedBy !== undefined) {
      console.log(`\nstopped by ${stoppedBy}`)
      return 1
    }
    results.push({ name, passed, seconds: (performance.now() - start) / 1000 })
  }
  console.log(`\n━━ summary ${'━'.repeat(53)}\n`)
  for (const { name, passed, seconds } of results) {
    console.log(`${passed ? '✔' : '✖'} ${name.padEnd(12)} ${passed ? 'passed' : 'FAILED'} ${seconds.toFixed(1).padStart(7)} s`)
  }
  return results.every(({ passed }) => passed) ? 0 : 1
}

await main().then((code) => process.exit(code), reportSetupError)
