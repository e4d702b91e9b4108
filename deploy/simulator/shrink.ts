import { isDeepStrictEqual } from 'node:util'
import type { Violation } from './model.ts'
import type { ClientPlan, Plan, SessionPlan } from './plan.ts'
import { simulate } from './simulate.ts'

/** How often a smaller plan is tried at most. */
const MAX_TRIES = 400

/**
 * Finds a small plan that breaks the same promise: leaves out faults (halves first, then one by one), sessions,
 * recorders, page events and tracks, and shortens recordings, as long as it still breaks.
 * @param onTry called with the number of tries so far
 */
export async function shrink(
  plan: Plan,
  first: Violation,
  onTry: (tries: number) => void = () => undefined,
): Promise<{ plan: Plan; violations: readonly Violation[] }> {
  let smallest = plan
  let found: readonly Violation[] = [first]
  let tries = 0
  const holds = async (candidate: Plan): Promise<boolean> => {
    if (tries >= MAX_TRIES) return false
    tries += 1
    onTry(tries)
    const { violations } = await simulate(candidate)
    const isSame = violations.some(({ promise }) => promise === first.promise)
    if (isSame) {
      smallest = candidate
      found = violations
    }
    return isSame
  }
  for (;;) {
    const before = smallest
    await withoutFaults(() => smallest, holds)
    for (const smaller of SMALLER) {
      for (let index = 0; ; index += 1) {
        const candidate = smaller(smallest, index)
        if (candidate === null) break
        if (isDeepStrictEqual(candidate, smallest)) continue
        if (await holds(candidate)) index -= 1
      }
    }
    if (smallest === before || tries >= MAX_TRIES) return { plan: smallest, violations: found }
  }
}

/** Leaves out runs of faults, long ones first. */
async function withoutFaults(current: () => Plan, holds: (plan: Plan) => Promise<boolean>): Promise<void> {
  for (let run = Math.ceil(current().faults.length / 2); run >= 1; run = run === 1 ? 0 : Math.ceil(run / 2)) {
    for (let from = 0; from < current().faults.length;) {
      const plan = current()
      const faults = plan.faults.filter((_, index) => index < from || index >= from + run)
      if (!(await holds({ ...plan, faults }))) from += run
    }
  }
}

type Smaller = (plan: Plan, index: number) => Plan | null

/** The plan with its `index`-th place smaller; null behind the last place. Each only shrinks, so this ends. */
const SMALLER: readonly Smaller[] = [
  (plan, index) => {
    if (index >= plan.sessions.length) return null
    return plan.sessions.length === 1 ? null : { ...plan, sessions: plan.sessions.filter((_, at) => at !== index) }
  },
  eachClient((client) => (client.events.length === 0 ? client : { ...client, events: client.events.slice(1) })),
  eachClient((client) => (client.events.length === 0 ? client : { ...client, events: client.events.slice(0, -1) })),
  eachClient((client) => (client.tracks.length === 1 ? client : { ...client, tracks: client.tracks.slice(1) })),
  eachClient((client) => (client.tracks.length === 1 ? client : { ...client, tracks: client.tracks.slice(0, 1) })),
  eachClient((client) =>
    client.recordsMs < 2000 ? client : { ...client, recordsMs: Math.round(client.recordsMs * 0.7) },
  ),
  eachSession((session) =>
    session.clients.length === 1 ? session : { ...session, clients: session.clients.slice(1) },
  ),
  eachSession((session) =>
    session.clients.length === 1 ? session : { ...session, clients: session.clients.slice(0, 1) },
  ),
  eachSession((session) => (session.deletedAt === null ? session : { ...session, deletedAt: null })),
  eachSession((session) => (session.heldAt === null ? session : { ...session, heldAt: null })),
  (plan, index) => {
    const kind = (['gateway', 'block-writer'] as const)[index]
    if (kind === undefined) return null
    return { ...plan, instances: { ...plan.instances, [kind]: 1 } }
  },
]

function eachSession(change: (session: SessionPlan) => SessionPlan): Smaller {
  return (plan, index) => replaced(plan, index, plan.sessions.map(change))
}

function eachClient(change: (client: ClientPlan) => ClientPlan): Smaller {
  return (plan, index) =>
    replaced(
      plan,
      index,
      plan.sessions.map((session) => ({ ...session, clients: session.clients.map(change) })),
    )
}

/** Only the `index`-th of the changed sessions; the others stay. */
function replaced(plan: Plan, index: number, changed: readonly SessionPlan[]): Plan | null {
  if (index >= plan.sessions.length) return null
  return { ...plan, sessions: plan.sessions.map((session, at) => (at === index ? changed[at]! : session)) }
}
