import './world/install.ts'
import './world/request-timeouts.ts'
import { Faults } from './faults.ts'
import type { Mutation } from './mutations.ts'
import type { Violation } from './model.ts'
import { lastPageAt, type Plan } from './plan.ts'
import { formatTime } from './world/trace.ts'
import { World } from './world/world.ts'

export interface Outcome {
  readonly violations: readonly Violation[]
  /** Of every message, blob and fault with its time. */
  readonly digest: string
  readonly virtualMs: number
  readonly steps: number
  /** Sum of what all recorders were recording for. */
  readonly recordedMs: number
}

/** After the last fault, and the coming of the last page, everything must come to its end within this. */
const SETTLES_WITHIN_MS = 15 * 60_000
const LOOK_EVERY_MS = 1000

export interface SimulateOptions {
  /** Receives the story, line by line. */
  readonly write?: ((line: string) => void) | undefined
  readonly mutation?: Mutation
}

/** Runs a plan to its end; the same plan gives the same outcome to the byte. */
export async function simulate(plan: Plan, { write, mutation }: SimulateOptions = {}): Promise<Outcome> {
  // Errors are part of what happens; only readers need to know where they were made.
  Error.stackTraceLimit = write === undefined ? 0 : 10
  const world = new World(plan, { write, mutation })
  const { time, model } = world
  world.start()
  new Faults(world).schedule()
  const settlesBy = Math.max(plan.quietAt, lastPageAt(plan)) + SETTLES_WITHIN_MS
  let over = false
  const look = async (): Promise<void> => {
    const open = [
      ...(await model.unsettled()),
      ...world.browsers.filter(({ isSettled }) => !isSettled).map(() => 'a page is not settled'),
    ]
    const isLate = time.now > settlesBy
    if (isLate)
      for (const what of open)
        model.broken('comes-to-its-end', `${what} ${formatTime(SETTLES_WITHIN_MS)} after the last fault and page`)
    if (open.length === 0 || isLate || model.violations.length > 0) over = true
    else time.after(LOOK_EVERY_MS, () => void look())
  }
  time.at(plan.quietAt, () => void look())
  const onLost = (error: unknown): void =>
    model.broken(
      'crash',
      `unhandled rejection: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    )
  process.on('unhandledRejection', onLost)
  try {
    await time.run(() => over || model.violations.length > 0)
    if (model.violations.length === 0) await model.judge()
  } finally {
    process.off('unhandledRejection', onLost)
  }
  const recordedMs = plan.sessions.flatMap(({ clients }) => clients).reduce((sum, { recordsMs }) => sum + recordsMs, 0)
  return {
    violations: model.violations,
    digest: world.trace.digest(),
    virtualMs: time.now,
    steps: time.steps,
    recordedMs,
  }
}
