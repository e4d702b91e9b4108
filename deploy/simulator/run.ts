import './world/install.ts'
import { parseArgs } from 'node:util'
import { tryMutations } from './mutations.ts'
import { LARGE, planOf, SMALL, TINY, type Size } from './plan.ts'
import { shrink } from './shrink.ts'
import { simulate } from './simulate.ts'
import { storyOf } from './story.ts'

const USAGE = `npm run simulate -- [--seed N] [--hours H | --minutes M | --seeds K] [--size tiny|small|large] …

  --seed N       the first seed; default 1
  --hours H      simulates seed after seed until H hours of sessions were recorded
  --minutes M    … until M minutes have passed
  --seeds K      … K of them
  --size         small (default): a session or two of seconds
                 tiny: one session of a few seconds, about half the work
                 large (default with --hours): dozens of up to 90 minutes
  --trace        prints everything that happens; default where only one seed runs
  --digest       prints the digest of each seed
  --mutations    looks for the seeds, of K from N on, that find each lie of mutations.ts
  --no-shrink    does not look for a shorter story of a seed that fails`

const SIZES = { tiny: TINY, small: SMALL, large: LARGE } as const satisfies Record<string, Size>
const isSize = (name: string): name is keyof typeof SIZES => Object.hasOwn(SIZES, name)
const HOUR_MS = 3_600_000
const PROGRESS_EVERY_MS = 10_000
/** A night that goes wrong in the same way in each seed needs no more examples. */
const MAX_FAILURES = 5

function readArguments() {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      hours: { type: 'string' },
      minutes: { type: 'string' },
      seeds: { type: 'string' },
      size: { type: 'string' },
      trace: { type: 'boolean', default: false },
      digest: { type: 'boolean', default: false },
      mutations: { type: 'boolean', default: false },
      'no-shrink': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(USAGE)
    process.exit(0)
  }
  const number = (name: 'seed' | 'hours' | 'minutes' | 'seeds'): number => {
    const value = values[name] === undefined ? Infinity : Number(values[name])
    if (Number.isNaN(value) || value < 0) fail(`--${name} must be a number`)
    return value
  }
  const size = values.size ?? (values.hours === undefined ? 'small' : 'large')
  if (!isSize(size)) fail('--size must be tiny, small or large')
  const isOne = values.hours === undefined && values.minutes === undefined && values.seeds === undefined
  return {
    seed: number('seed'),
    hours: number('hours'),
    minutes: number('minutes'),
    seeds: isOne ? 1 : number('seeds'),
    size,
    trace: values.trace || isOne,
    digest: values.digest,
    mutations: values.mutations,
    shrinks: !values['no-shrink'],
  } as const
}

function fail(message: string): never {
  console.error(`${message}\n\n${USAGE}`)
  process.exit(2)
}

const realMs = (): number => Number(process.hrtime.bigint() / 1_000_000n)
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

const { seed: first, hours, minutes, seeds, size, trace, digest, mutations, shrinks } = readArguments()
const beganAt = realMs()
const totals = { seeds: 0, recordedMs: 0, virtualMs: 0 }
if (mutations) process.exit((await tryMutations(first, seeds === 1 ? 200 : seeds)) === 0 ? 0 : 1)
let failures = 0
let toldAt = beganAt

const rate = (): string => {
  const perHour = totals.recordedMs / HOUR_MS / (cpuMs() / HOUR_MS)
  const hours = (totals.recordedMs / HOUR_MS).toFixed(1)
  return `${totals.seeds} seeds, ${hours} session-hours, ${Math.round(perHour)} session-hours per hour of one core`
}

for (let seed = first; totals.seeds < seeds && failures < MAX_FAILURES; seed += 1) {
  if (totals.recordedMs >= hours * HOUR_MS || realMs() - beganAt >= minutes * 60_000) break
  const plan = planOf(seed, SIZES[size])
  const outcome = await simulate(plan, trace ? { write: (line) => console.log(line) } : {})
  totals.seeds += 1
  totals.recordedMs += outcome.recordedMs
  totals.virtualMs += outcome.virtualMs
  if (trace || digest) console.log(`seed ${seed}: digest ${outcome.digest} after ${outcome.steps} steps`)
  const [violation] = outcome.violations
  if (violation !== undefined) {
    failures += 1
    console.log(`\nseed ${seed} breaks "${violation.promise}": ${violation.what}`)
    const shortest = shrinks ? await shrink(plan, violation) : { plan, violations: outcome.violations }
    console.log(
      `\n${storyOf(shortest.plan, shortest.violations)}\n\nrepeat: npm run simulate -- --seed ${seed} --size ${size}\n`,
    )
  }
  if (realMs() - toldAt > PROGRESS_EVERY_MS) {
    toldAt = realMs()
    console.log(`… seed ${seed}: ${rate()}`)
  }
}
console.log(`${rate()}; ${failures === 0 ? 'every promise was kept' : `${failures} seeds broke a promise`}`)
process.exit(failures === 0 ? 0 : 1)
