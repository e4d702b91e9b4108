import type { Recovery } from './recovery.ts'
import type { Verdict } from './verdict.ts'

export interface ScenarioResult {
  name: string
  /** Of the first trial; each further one has the next. */
  seed: number
  trials: number
  verdict: Verdict
  recoveries: readonly Recovery[]
  seconds: number
}

const NONE: Verdict = { acknowledged: 0, lost: 0, duplicated: 0, undeclared: 0, faults: [] }

export function addVerdicts(verdicts: readonly Verdict[]): Verdict {
  return verdicts.reduce(
    (sum, one) => ({
      acknowledged: sum.acknowledged + one.acknowledged,
      lost: sum.lost + one.lost,
      duplicated: sum.duplicated + one.duplicated,
      undeclared: sum.undeclared + one.undeclared,
      faults: [...sum.faults, ...one.faults],
    }),
    NONE,
  )
}

export function describeScenario({ name, seed, trials, verdict, recoveries, seconds }: ScenarioResult): string {
  return `${verdict.faults.length === 0 ? '✔' : '✖'} ${name.padEnd(44)} seed ${seed}, ${counts(trials, verdict)}; ${seconds.toFixed(0)} s; recovery: ${describeRecoveries(recoveries) || '–'}`
}

export function describeTotal(results: readonly ScenarioResult[]): string {
  const trials = results.reduce((sum, result) => sum + result.trials, 0)
  const verdict = addVerdicts(results.map((result) => result.verdict))
  const recoveries = recoveryTable(results.flatMap((result) => result.recoveries))
  return `\nrecovery times, median and worst (what each measures: deploy/faults/recovery.ts)\n${recoveries}\n\ntotal: ${counts(trials, verdict)}`
}

function counts(trials: number, { acknowledged, lost, duplicated, undeclared }: Verdict): string {
  return `trials ${trials}, acknowledged chunks ${acknowledged}, lost ${lost}, duplicated ${duplicated}, undeclared holes ${undeclared}`
}

function describeRecoveries(recoveries: readonly Recovery[]): string {
  return [...byKind(recoveries)].map(([kind, times]) => `${kind} ${spread(times)}`).join(', ')
}

function recoveryTable(recoveries: readonly Recovery[]): string {
  return [...byKind(recoveries)].toSorted(([a], [b]) => a.localeCompare(b)).map(([kind, times]) => `  ${kind.padEnd(44)} ${spread(times)} of ${times.length}`).join('\n')
}

function byKind(recoveries: readonly Recovery[]): Map<string, number[]> {
  return Map.groupBy(recoveries, ({ component, measure }) => `${component} → ${measure}`).entries().reduce((map, [kind, all]) => map.set(kind, all.map(({ ms }) => ms)), new Map<string, number[]>())
}

function spread(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b)
  const median = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0
  const worst = sorted.at(-1) ?? 0
  return sorted.length > 1 ? `${seconds(median)} … ${seconds(worst)}` : seconds(worst)
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
