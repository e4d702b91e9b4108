import { join } from 'node:path'
import { seededRandom } from '@longtake/testkit'
import { LIGHT, Load } from './load.ts'
import type { Recovery } from './recovery.ts'
import { addVerdicts, describeScenario, describeTotal, type ScenarioResult } from './report.ts'
import type { Profile, Scenario } from './scenario.ts'
import { SCENARIOS } from './scenarios/index.ts'
import { BROKERS, setStage, type Stage } from './stage.ts'
import { judgeAll, type Verdict } from './verdict.ts'

export interface SuiteOptions {
  profile: Profile
  seed: number
  /** Part of a scenario's name; others are left out, whatever the profile. */
  only?: string | undefined
  /** Instead of the profile's. */
  trials?: number | undefined
  /** After so many no further trial is begun, and what was left out is said. */
  minutes?: number | undefined
  /** Everything that runs keeps its data and logs there. */
  dataDir: string
  log: (line: string) => void
  signal?: AbortSignal
}

/** How long after the fault every session may take to be complete and finalized. */
const COMPLETE_WITHIN_MS = 120_000

/** On a machine that does nothing else both end earlier. */
const MINUTES: Readonly<Record<Profile, number>> = { short: 10, long: 30 }

interface Planned {
  scenario: Scenario
  trials: number
}

/** Runs all scenarios of the profile, each on the system that the one before has left; a failure gets a fresh system. */
export async function runSuite(options: SuiteOptions): Promise<{ results: ScenarioResult[]; passed: boolean }> {
  const results: ScenarioResult[] = []
  const deadline = performance.now() + (options.minutes ?? MINUTES[options.profile]) * 60_000
  for (const brokers of BROKERS) {
    const planned = plan(options).filter(({ scenario }) => scenario.brokers === brokers)
    if (planned.length === 0) continue
    const stages = new Stages(join(options.dataDir, brokers.replace(' ', '-')), brokers, options.log)
    try {
      for (const { scenario, trials } of planned) {
        options.signal?.throwIfAborted()
        if (performance.now() > deadline) {
          options.log(`– ${scenario.name}: not tried, the time is over`)
          continue
        }
        const result = await runScenario(scenario, trials, options, stages, deadline)
        results.push(result)
        options.log(describeScenario(result))
      }
    } finally {
      await stages.end()
    }
  }
  options.log(describeTotal(results))
  return { results, passed: results.length > 0 && results.every(({ verdict }) => verdict.faults.length === 0) }
}

export function plan({ profile, only, trials }: Pick<SuiteOptions, 'profile' | 'only' | 'trials'>): Planned[] {
  return SCENARIOS.filter(({ name }) => only === undefined || name.includes(only))
    .map((scenario) => ({ scenario, trials: trials ?? (only === undefined ? scenario.trials[profile] : Math.max(1, scenario.trials[profile])) }))
    .filter((planned) => planned.trials > 0)
}

async function runScenario(scenario: Scenario, trials: number, { seed, log, signal }: SuiteOptions, stages: Stages, deadline: number): Promise<ScenarioResult> {
  const verdicts: Verdict[] = []
  const recoveries: Recovery[] = []
  const begun = performance.now()
  for (let index = 0; index < trials && (index === 0 || performance.now() < deadline); index += 1) {
    signal?.throwIfAborted()
    const outcome = await runTrial(scenario, index, seed + index, await stages.current())
    verdicts.push(outcome.verdict)
    recoveries.push(...outcome.recoveries)
    if (outcome.verdict.faults.length === 0) continue
    log(`✖ ${scenario.name}, seed ${seed + index}; data and logs in ${stages.dataDir}; once more: npm run test:faults -- --only '${scenario.name}' --trials 1 --seed ${seed + index}`)
    for (const fault of outcome.verdict.faults) log(fault)
    await stages.end()
  }
  return { name: scenario.name, seed, trials: verdicts.length, verdict: addVerdicts(verdicts), recoveries, seconds: (performance.now() - begun) / 1000 }
}

async function runTrial(scenario: Scenario, index: number, seed: number, stage: Stage): Promise<{ verdict: Verdict; recoveries: Recovery[] }> {
  const random = seededRandom(seed)
  let load: Load | undefined
  try {
    load = await Load.start(stage, random, scenario.load ?? LIGHT)
    const recoveries = await scenario.strike({ stage, load, random, index })
    await stage.restore()
    const ended = await load.end(COMPLETE_WITHIN_MS)
    return { verdict: judgeAll(ended), recoveries }
  } catch (error) {
    await load?.abandon()
    const fault = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { verdict: { acknowledged: 0, lost: 0, duplicated: 0, undeclared: 0, faults: [fault] }, recoveries: [] }
  }
}

/** The running system, started when it is needed, and anew after something has gone wrong with it. */
class Stages {
  readonly #folder: string
  readonly #brokers: Scenario['brokers']
  readonly #log: (line: string) => void
  #number = 0
  #stage: Stage | undefined

  constructor(folder: string, brokers: Scenario['brokers'], log: (line: string) => void) {
    this.#folder = folder
    this.#brokers = brokers
    this.#log = log
  }

  get dataDir(): string {
    return join(this.#folder, String(this.#number))
  }

  async current(): Promise<Stage> {
    if (this.#stage !== undefined) return this.#stage
    this.#number += 1
    this.#stage = await setStage(this.dataDir, this.#brokers, this.#log)
    return this.#stage
  }

  async end(): Promise<void> {
    await this.#stage?.stop()
    this.#stage = undefined
  }
}
