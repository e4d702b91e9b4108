import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { messageOf } from '@longtake/contracts'
import { reportSetupError, untilStopped } from '../local/run.ts'
import { SetupError } from '../local/setup-error.ts'
import { PROFILES, type Profile } from './scenario.ts'
import { SCENARIOS } from './scenarios/index.ts'
import { plan, runSuite } from './suite.ts'

const USAGE = `npm run test:faults -- [--profile ${PROFILES.join('|')}] [--seed n] [--only name] [--trials n] [--minutes n] [--list]`

function readNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,9}$/.test(text)) throw new SetupError(`--${name} ${text} is no number: ${USAGE}`)
  return Number(text)
}

function readArguments() {
  try {
    const string = { type: 'string' } as const
    return parseArgs({ options: { profile: { ...string, default: 'short' }, seed: string, only: string, trials: string, minutes: string, list: { type: 'boolean' } } }).values
  } catch (error) {
    throw new SetupError(`${messageOf(error)}: ${USAGE}`)
  }
}

async function main(): Promise<number> {
  const { profile: given, seed, only, trials, minutes, list } = readArguments()
  const profile = PROFILES.find((one) => one === given) as Profile | undefined
  if (profile === undefined) throw new SetupError(`there is no profile ${given}: ${USAGE}`)
  if (list) {
    const width = Math.max(...SCENARIOS.map(({ name }) => name.length))
    for (const { name, trials: counts } of SCENARIOS) console.log(`${name.padEnd(width)}  ${PROFILES.map((one) => `${one} ${counts[one]}`).join(', ')}`)
    return 0
  }
  const options = { profile, only, trials: readNumber('trials', trials), minutes: readNumber('minutes', minutes) }
  if (plan(options).length === 0) throw new SetupError(`no scenario is called like ${only}: see npm run test:faults -- --list`)
  const stopping = new AbortController()
  const stopped = untilStopped().then((why) => stopping.abort(new SetupError(`stopped by ${why}`)))
  const parent = join(tmpdir(), 'longtake-faults')
  mkdirSync(parent, { recursive: true })
  const dataDir = mkdtempSync(join(parent, `${profile}-`))
  const running = runSuite({ ...options, seed: readNumber('seed', seed) ?? Math.floor(Math.random() * 1e6), dataDir, log: console.log, signal: stopping.signal })
  const result = await Promise.race([running, stopped.then(() => running)])
  if (result.passed) rmSync(dataDir, { recursive: true, force: true })
  else console.log(`\ndata and logs of this run are kept in ${dataDir}`)
  return result.passed ? 0 : 1
}

await main().then((code) => process.exit(code), reportSetupError)
