import { setTimeout as delay } from 'node:timers/promises'
import type { Load } from './load.ts'
import type { Stage } from './stage.ts'

/** When something counts as recovered, from the moment it was struck. */
export const MEASURES = {
  acks: 'every client that sends has acks for all it had sent when the fault struck, and for one chunk more',
  status: 'the status of every session shows as stored what was acknowledged when the fault struck',
  finalized: 'a session that ends when the fault strikes is finalized',
  poster: 'such a session has its poster',
  stall: 'the longest time in which a client that sends got no ack',
} as const
export type Measure = keyof typeof MEASURES

export interface Recovery {
  component: string
  measure: Measure
  ms: number
}

const BOUND_MS = 180_000

/** Begins to measure now: call it where the fault strikes, and await what it returns. */
export async function measureRecovery(component: string, measure: Exclude<Measure, 'stall'>, stage: Stage, load: Load): Promise<Recovery> {
  const since = performance.now()
  const holds = await CONDITIONS[measure](stage, load)
  while (!(await holds())) {
    if (performance.now() - since > BOUND_MS) throw new Error(`${component} has not recovered within ${BOUND_MS} ms: it is not so that ${MEASURES[measure]}`)
    await delay(50)
  }
  return { component, measure, ms: Math.round(performance.now() - since) }
}

type Condition = () => boolean | Promise<boolean>

const CONDITIONS: Record<Exclude<Measure, 'stall'>, (stage: Stage, load: Load) => Condition | Promise<Condition>> = {
  acks: (_, load) => {
    const waiting = load.recordings.filter(({ flows }) => flows).map((recording) => ({ recording, made: madeOf(recording) }))
    return () => waiting.every(({ recording, made }) => load.acknowledged(recording) > made || isDone(recording))
  },
  status: (_, load) => {
    const waiting = load.recordings.map((recording) => ({ recording, acknowledged: load.acknowledged(recording) }))
    return async () => {
      const [next] = waiting
      if (next === undefined) return true
      const status = await load.status(next.recording).catch(() => undefined)
      const stored = Object.values(status?.tracks ?? {}).flatMap(({ parts }) => parts).reduce((sum, part) => sum + part.stored, 0)
      if (stored >= next.acknowledged) waiting.shift()
      return waiting.length === 0
    }
  },
  finalized: async (_, load) => {
    const recording = await load.endOne()
    return async () => {
      const status = await load.status(recording).catch(() => undefined)
      return status !== undefined && status.version > 0 && status.finalizedVersion === status.version
    }
  },
  poster: async (stage, load) => {
    const { session } = await load.endOne()
    const url = `${stage.system.queryUrl}/v1/sessions/${session.id}/tracks/webcam/poster?token=${session.watch.token}`
    return () => fetch(url, { method: 'HEAD' }).then(({ ok }) => ok, () => false)
  },
}

type Recorded = Load['recordings'][number]

function madeOf({ clients }: Recorded): number {
  return clients.flatMap(({ parts }) => parts).reduce((sum, { made }) => sum + made.size, 0)
}

/** Sent and acknowledged to its end: nothing more will come of it. */
function isDone({ clients }: Recorded): boolean {
  return clients.every(({ parts }) => parts.every(({ made, acknowledged, closed }) => closed !== null && acknowledged.size >= made.size))
}

const LOOK_EVERY_MS = 20

/** Watches all clients that send; tells their longest wait for an ack when it is stopped. */
export function watchStalls(load: Load): () => Recovery {
  const watched = load.recordings.filter(({ flows }) => flows).map((recording) => ({ recording, acknowledged: 0, since: performance.now() }))
  let longest = 0
  const look = (): void => {
    const now = performance.now()
    for (const each of watched) {
      const acknowledged = load.acknowledged(each.recording)
      longest = Math.max(longest, now - each.since)
      if (acknowledged > each.acknowledged) Object.assign(each, { acknowledged, since: now })
    }
  }
  const timer = setInterval(look, LOOK_EVERY_MS)
  return () => {
    clearInterval(timer)
    look()
    return { component: 'rolling restart', measure: 'stall', ms: Math.round(longest) }
  }
}
