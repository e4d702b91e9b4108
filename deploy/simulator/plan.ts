import { seededRandom, type Random } from '@longtake/testkit'

/** What happens on a page beside recording; times are milliseconds since the page's client joined. */
export type PageEvent =
  /** The tab is killed. Another page recovers what it left after `backAfterMs`; `goesOn`: and goes on recording. */
  | { readonly at: number; readonly do: 'crash'; readonly backAfterMs: number; readonly goesOn: boolean }
  /** The device changes: each track ends its part and begins the next. */
  | { readonly at: number; readonly do: 'next-part' }
  | { readonly at: number; readonly do: 'offline'; readonly forMs: number }
  /** The next chunk does not fit into the spool. */
  | { readonly at: number; readonly do: 'quota' }
  /** A chunk that waits in the spool disappears. */
  | { readonly at: number; readonly do: 'steal' }
  /** The spool does not give one chunk for a while; those behind it are sent before it. */
  | { readonly at: number; readonly do: 'unreadable'; readonly forMs: number }

export interface ClientPlan {
  readonly joinsAt: number
  readonly recordsMs: number
  readonly chunkMs: number
  /** About so many bytes has a chunk. */
  readonly chunkBytes: number
  readonly tracks: readonly string[]
  readonly events: readonly PageEvent[]
}

export interface SessionPlan {
  readonly id: string
  readonly startsAt: number
  /** `client`: each recorder stops by itself · `backend`: the backend ends it · `nobody`: it is abandoned */
  readonly end: 'client' | 'backend' | 'nobody'
  readonly clients: readonly ClientPlan[]
  /** Milliseconds since its start; null: never. */
  readonly deletedAt: number | null
  /** A legal hold on the first file of each track; milliseconds since its start. */
  readonly heldAt: number | null
}

export type ServiceKind = 'gateway' | 'block-writer' | 'completeness' | 'finalizer'

export type Fault =
  /** kill -9, and started again. */
  | {
      readonly at: number
      readonly do: 'kill'
      readonly service: ServiceKind
      readonly index: number
      readonly downMs: number
    }
  /** SIGTERM, and started again. */
  | {
      readonly at: number
      readonly do: 'restart'
      readonly service: ServiceKind
      readonly index: number
      readonly downMs: number
    }
  /** SIGSTOP and SIGCONT. */
  | {
      readonly at: number
      readonly do: 'pause'
      readonly service: ServiceKind
      readonly index: number
      readonly forMs: number
    }
  | { readonly at: number; readonly do: 'stop-broker'; readonly broker: number; readonly downMs: number }
  | { readonly at: number; readonly do: 'hang-broker'; readonly broker: number; readonly forMs: number }
  | { readonly at: number; readonly do: 'move-leaders'; readonly share: number }
  /** A broker answers late, and in the middle of that its partitions, and some of others, get new leaders. */
  | {
      readonly at: number
      readonly do: 'drain-broker'
      readonly broker: number
      readonly extraMs: number
      readonly forMs: number
    }
  | { readonly at: number; readonly do: 'move-groups' }
  | { readonly at: number; readonly do: 'reset-connections'; readonly share: number }
  /** Messages between the services and one broker take longer. */
  | {
      readonly at: number
      readonly do: 'slow-broker'
      readonly broker: number
      readonly extraMs: number
      readonly forMs: number
    }
  | { readonly at: number; readonly do: 'storage-trouble'; readonly share: number; readonly forMs: number }
  | { readonly at: number; readonly do: 'slow-storage'; readonly extraMs: number; readonly forMs: number }
  | { readonly at: number; readonly do: 'cut-clients'; readonly share: number }

export interface Plan {
  readonly seed: number
  readonly instances: Readonly<Record<ServiceKind, number>>
  readonly partitions: number
  readonly idleFactor: number
  readonly sessions: readonly SessionPlan[]
  readonly faults: readonly Fault[]
  /** From here on nothing goes wrong any more. */
  readonly quietAt: number
}

export interface Size {
  readonly sessions: readonly [from: number, to: number]
  readonly recordsMs: readonly [from: number, to: number]
  readonly chunkMs: readonly number[]
  /** Mean time between two faults. */
  readonly faultEveryMs: number
  readonly partitions: readonly [from: number, to: number]
}

/** Half a minute of a session or two: thousands of seeds in a minute. */
export const SMALL: Size = {
  sessions: [1, 3],
  recordsMs: [3000, 14_000],
  chunkMs: [500, 1000],
  faultEveryMs: 4000,
  partitions: [2, 4],
}
/** Many sessions of many minutes. */
export const LARGE: Size = {
  sessions: [12, 30],
  recordsMs: [600_000, 5_400_000],
  chunkMs: [10_000],
  faultEveryMs: 45_000,
  partitions: [4, 12],
}

const SMALL_CHUNK_BYTES = 200
/** A few seconds of them are more than a writer of simulations holds of one track. */
const LARGE_CHUNK_BYTES = 20_000
const TRACKS = ['webcam', 'screen']

/** Everything that will happen in a run, from its seed. What is drawn later is only how long single messages take. */
export function planOf(seed: number, size: Size = SMALL): Plan {
  const random = seededRandom(seed)
  const sessions = Array.from({ length: random.between(...size.sessions) }, (_, index) =>
    planSession(`s${seed}-${index + 1}`, random, size),
  )
  const recordedUntil = Math.max(...sessions.map(endOf))
  const instances = {
    gateway: random.between(1, 2),
    'block-writer': random.between(1, 2),
    completeness: 1,
    finalizer: 1,
  }
  return {
    seed,
    instances,
    partitions: random.between(...size.partitions),
    idleFactor: random.pick([4, 8, 16]),
    sessions,
    faults: planFaults(random, size, recordedUntil, instances),
    quietAt: recordedUntil,
  }
}

const endOf = ({ startsAt, clients }: SessionPlan): number =>
  startsAt + Math.max(...clients.map(({ joinsAt, recordsMs }) => joinsAt + recordsMs))

function planSession(id: string, random: Random, size: Size): SessionPlan {
  const chunkMs = random.pick(size.chunkMs)
  const chunkBytes = random.chance(0.15) ? LARGE_CHUNK_BYTES : SMALL_CHUNK_BYTES
  const clients = Array.from({ length: random.chance(0.15) ? 2 : 1 }, (_, index): ClientPlan => {
    const recordsMs = random.between(...size.recordsMs)
    return {
      joinsAt: random.between(0, 2000),
      recordsMs,
      chunkMs,
      chunkBytes,
      // A second device, as a phone beside a laptop, records tracks of its own.
      tracks: (random.chance(0.4) ? TRACKS : [random.pick(TRACKS)]).map((track) =>
        index === 0 ? track : `${track}-2`,
      ),
      events: planEvents(random, recordsMs),
    }
  })
  const end = random.chance(0.75) ? 'client' : random.chance(0.5) ? 'backend' : 'nobody'
  const startsAt = random.between(0, size.recordsMs[0])
  const isDeleted = random.chance(0.06)
  const isHeld = !isDeleted && random.chance(0.04)
  return {
    id,
    startsAt,
    end,
    clients,
    deletedAt: isDeleted ? random.between(1000, 2 * size.recordsMs[1]) : null,
    heldAt: isHeld ? random.between(2000, size.recordsMs[1]) : null,
  }
}

function planEvents(random: Random, recordsMs: number): PageEvent[] {
  const events: PageEvent[] = []
  const at = (): number => random.between(500, recordsMs)
  if (random.chance(0.25)) {
    const backAfterMs = random.pick([200, 3000, 20_000])
    events.push({ at: at(), do: 'crash', backAfterMs, goesOn: random.chance(0.5) })
  }
  if (random.chance(0.25)) events.push({ at: at(), do: 'next-part' })
  if (random.chance(0.2))
    events.push({ at: at(), do: 'offline', forMs: random.between(500, Math.max(1000, recordsMs)) })
  if (random.chance(0.1)) events.push({ at: at(), do: 'quota' })
  if (random.chance(0.1)) events.push({ at: at(), do: 'steal' })
  if (random.chance(0.15)) events.push({ at: at(), do: 'unreadable', forMs: random.between(1000, 12_000) })
  return events.toSorted((a, b) => a.at - b.at)
}

function planFaults(random: Random, size: Size, untilMs: number, instances: Plan['instances']): Fault[] {
  const faults: Fault[] = []
  let brokerBackAt = 0
  // Some seeds have only the troubles of their sessions.
  if (random.chance(0.15)) return []
  for (let at = random.between(0, size.faultEveryMs); at < untilMs; at += random.between(1, 2 * size.faultEveryMs)) {
    const fault = planFault(random, at, instances)
    if (fault.do === 'stop-broker') {
      // One at a time, or what is acknowledged could be lost by right.
      if (at < brokerBackAt) continue
      brokerBackAt = at + fault.downMs + 5000
    }
    faults.push(fault)
  }
  return faults
}

function planFault(random: Random, at: number, instances: Plan['instances']): Fault {
  const service = random.pick(['gateway', 'block-writer', 'block-writer', 'completeness', 'finalizer'] as const)
  const process = { service, index: random.between(0, instances[service] - 1) }
  const broker = random.between(0, 2)
  const roll = random.between(1, 100)
  if (roll <= 16) return { at, do: 'kill', ...process, downMs: random.between(100, 5000) }
  if (roll <= 22) return { at, do: 'restart', ...process, downMs: random.between(100, 3000) }
  if (roll <= 30) return { at, do: 'pause', ...process, forMs: random.pick([800, 6000, 25_000]) }
  if (roll <= 37) return { at, do: 'stop-broker', broker, downMs: random.between(500, 12_000) }
  if (roll <= 44) return { at, do: 'hang-broker', broker, forMs: random.pick([300, 3000, 17_000]) }
  if (roll <= 54)
    return { at, do: 'drain-broker', broker, extraMs: random.between(100, 3000), forMs: random.between(500, 6000) }
  if (roll <= 64) return { at, do: 'move-leaders', share: random.pick([0.2, 0.6, 1]) }
  if (roll <= 68) return { at, do: 'move-groups' }
  if (roll <= 74) return { at, do: 'reset-connections', share: random.pick([0.3, 1]) }
  if (roll <= 82)
    return { at, do: 'slow-broker', broker, extraMs: random.pick([20, 300, 4000]), forMs: random.between(500, 8000) }
  if (roll <= 90)
    return { at, do: 'storage-trouble', share: random.pick([0.2, 0.7, 1]), forMs: random.between(500, 16_000) }
  if (roll <= 94) return { at, do: 'slow-storage', extraMs: random.pick([300, 4000]), forMs: random.between(500, 8000) }
  return { at, do: 'cut-clients', share: random.pick([0.4, 1]) }
}
