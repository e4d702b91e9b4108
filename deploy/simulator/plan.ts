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
  /** Every so many chunks there is a keyframe. */
  readonly keyframeChunks: number
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
  /** Messages between the services and these brokers take longer. */
  | {
      readonly at: number
      readonly do: 'slow-brokers'
      readonly brokers: readonly number[]
      readonly extraMs: number
      readonly forMs: number
    }
  | { readonly at: number; readonly do: 'storage-trouble'; readonly share: number; readonly forMs: number }
  | { readonly at: number; readonly do: 'slow-storage'; readonly extraMs: number; readonly forMs: number }
  | { readonly at: number; readonly do: 'cut-clients'; readonly share: number }
  /** A lease on a file: it can be read but not changed. */
  | { readonly at: number; readonly do: 'lease-file'; readonly forMs: number }
  /** A lasting fault of one blob. */
  | { readonly at: number; readonly do: Harm }

/**
 * `archive-file`: a file can be neither read nor changed · `remove-file`: somebody deletes it · the others: a bit of a
 * stored blob changes.
 */
export type Harm = 'archive-file' | 'remove-file' | 'damage-file' | 'damage-pending' | 'damage-checkpoint'

export interface Plan {
  readonly seed: number
  readonly instances: Readonly<Record<ServiceKind, number>>
  readonly partitions: number
  readonly idleFactor: number
  /** How long block-writer waits for a missing chunk. */
  readonly holeWaitMs: number
  /** After how long a session without clients is interrupted, and abandoned. */
  readonly graces: { readonly interruptedAfterMs: number; readonly abandonedAfterMs: number }
  readonly sessions: readonly SessionPlan[]
  readonly faults: readonly Fault[]
  /** From here on nothing goes wrong any more. */
  readonly quietAt: number
}

export interface Size {
  readonly sessions: readonly number[]
  readonly recordsMs: readonly [from: number, to: number]
  readonly chunkMs: readonly number[]
  /** Mean time between two faults. */
  readonly faultEveryMs: number
  readonly partitions: readonly [from: number, to: number]
  readonly graces: Plan['graces']
  /** How long after a crash the next page comes. */
  readonly absencesMs: readonly number[]
}

/** A session or two of seconds: many seeds in a minute. */
export const SMALL: Size = {
  sessions: [1, 1, 1, 2, 3],
  recordsMs: [2000, 13_000],
  chunkMs: [500, 1000],
  faultEveryMs: 3000,
  partitions: [2, 3],
  graces: { interruptedAfterMs: 2000, abandonedAfterMs: 7000 },
  absencesMs: [200, 3000, 12_000],
}
/** One session of a few seconds with as many faults: most of the work of a run is that of idle services. */
export const TINY: Size = {
  sessions: [1],
  recordsMs: [1500, 6000],
  chunkMs: [500],
  faultEveryMs: 1500,
  partitions: [1, 2],
  graces: { interruptedAfterMs: 1000, abandonedAfterMs: 3000 },
  absencesMs: [200, 1500, 5000],
}
/** Many sessions of many minutes. */
export const LARGE: Size = {
  sessions: [12, 20, 30],
  recordsMs: [600_000, 5_400_000],
  chunkMs: [10_000],
  faultEveryMs: 45_000,
  partitions: [4, 12],
  graces: { interruptedAfterMs: 5000, abandonedAfterMs: 20_000 },
  absencesMs: [200, 3000, 20_000, 1_200_000, 10_800_000],
}

/** Most chunks are tiny, so that seeds are cheap; a few seconds of the others are more than a writer holds of a track. */
const CHUNK_BYTES = [200, 200, 60_000]
const TRACKS = ['webcam', 'screen']

/** Everything that will happen in a run, from its seed. What is drawn later is only how long single messages take. */
export function planOf(seed: number, size: Size = SMALL): Plan {
  const random = seededRandom(seed)
  const pageEvents = swarm(random, PAGE_EVENTS)
  const sessions = Array.from({ length: random.pick(size.sessions) }, (_, index) =>
    planSession(`s${seed}-${index + 1}`, random, size, pageEvents),
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
    holeWaitMs: random.pick([500, 2000, 5000]),
    graces: size.graces,
    sessions,
    faults: planFaults(random, size, recordedUntil, instances),
    quietAt: recordedUntil,
  }
}

/**
 * When the last page of a plan opens, in milliseconds of virtual time: one may return hours after everything else has
 * ended, and only then can all sessions end.
 */
export function lastPageAt({ sessions }: Pick<Plan, 'sessions'>): number {
  const returns = sessions.flatMap(({ startsAt, clients }) =>
    clients.flatMap(({ joinsAt, events }) =>
      events.map((event) => startsAt + joinsAt + event.at + (event.do === 'crash' ? event.backAfterMs : 0)),
    ),
  )
  return Math.max(0, ...sessions.map(endOf), ...returns)
}

/**
 * Each seed has only some kinds of trouble, but those often (swarm testing: Groce et al., ISSTA 2012): what breaks only
 * when two kinds meet at the right moment hardly ever happens in a mixture of all.
 */
function swarm<T>(random: Random, kinds: readonly T[]): T[] {
  const share = random.pick([0.2, 0.4, 0.8])
  return kinds.filter(() => random.chance(share))
}

const endOf = ({ startsAt, clients }: SessionPlan): number =>
  startsAt + Math.max(...clients.map(({ joinsAt, recordsMs }) => joinsAt + recordsMs))

function planSession(id: string, random: Random, size: Size, pageEvents: readonly PageEvent['do'][]): SessionPlan {
  const chunkMs = random.pick(size.chunkMs)
  const chunkBytes = random.pick(CHUNK_BYTES)
  const keyframeChunks = random.pick([2, 2, 5])
  const clients = Array.from({ length: random.chance(0.15) ? 2 : 1 }, (_, index): ClientPlan => {
    const recordsMs = random.between(...size.recordsMs)
    return {
      joinsAt: random.between(0, 2000),
      recordsMs,
      chunkMs,
      chunkBytes,
      keyframeChunks,
      // A second device, as a phone beside a laptop, records tracks of its own.
      tracks: (random.chance(0.3) ? TRACKS : [random.pick(TRACKS)]).map((track) =>
        index === 0 ? track : `${track}-2`,
      ),
      events: planEvents(random, size, recordsMs, pageEvents),
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

const PAGE_EVENTS: readonly PageEvent['do'][] = ['crash', 'next-part', 'offline', 'quota', 'steal', 'unreadable']

function planEvents(random: Random, size: Size, recordsMs: number, kinds: readonly PageEvent['do'][]): PageEvent[] {
  const chosen = kinds.flatMap((kind) => Array<typeof kind>(random.pick([0, 1, 1, 2])).fill(kind))
  return chosen.map((what) => planEvent(random, size, recordsMs, what)).toSorted((a, b) => a.at - b.at)
}

function planEvent(random: Random, size: Size, recordsMs: number, what: PageEvent['do']): PageEvent {
  const at = random.between(500, recordsMs)
  switch (what) {
    case 'crash':
      return { at, do: what, backAfterMs: random.pick(size.absencesMs), goesOn: random.chance(0.5) }
    case 'offline':
      return { at, do: what, forMs: random.between(500, Math.max(1000, recordsMs)) }
    case 'unreadable':
      return { at, do: what, forMs: random.between(1000, 12_000) }
    case 'next-part':
    case 'quota':
    case 'steal':
      return { at, do: what }
    default:
      return what satisfies never
  }
}

function planFaults(random: Random, size: Size, untilMs: number, instances: Plan['instances']): Fault[] {
  const faults: Fault[] = []
  let brokerBackAt = 0
  const harmed = new Set<Fault['do']>()
  const kinds = swarm(random, random.pick(LAYERS))
  // Some seeds have only the troubles of their sessions.
  if (kinds.length === 0) return []
  const everyMs = size.faultEveryMs * random.pick([0.3, 1, 2])
  for (let at = random.between(0, everyMs); at < untilMs; at += random.between(1, 2 * everyMs)) {
    const fault = planFault(random, at, random.pick(kinds), instances)
    if (fault.do === 'stop-broker') {
      // One at a time, or what is acknowledged could be lost by right.
      if (at < brokerBackAt) continue
      brokerBackAt = at + fault.downMs + 5000
    }
    // Once each: two damaged checkpoints of one track are more than may be restored.
    if (isHarm(fault.do) && harmed.has(fault.do)) continue
    harmed.add(fault.do)
    faults.push(fault)
  }
  return faults
}

const PROCESSES = ['kill', 'restart', 'pause', 'cut-clients'] as const
const BROKERS = [
  'stop-broker',
  'hang-broker',
  'drain-broker',
  'move-leaders',
  'move-groups',
  'reset-connections',
  'slow-brokers',
] as const
const LEADERS = ['drain-broker', 'drain-broker', 'move-leaders', 'slow-brokers'] as const
const HARMS = ['archive-file', 'remove-file', 'damage-file', 'damage-pending', 'damage-checkpoint'] as const
const isHarm = (what: Fault['do']): what is Harm => (HARMS as readonly Fault['do'][]).includes(what)
const STORAGE = ['storage-trouble', 'slow-storage', 'lease-file', ...HARMS] as const

/** What is under attack in a seed: a layer alone, where its kinds of trouble meet each other, or all at once. */
const LAYERS: readonly (readonly Fault['do'][])[] = [
  PROCESSES,
  BROKERS,
  // Answers of brokers that are no longer the leader.
  LEADERS,
  STORAGE,
  // What is stored is read again when a process or a request has failed.
  ['lease-file', ...HARMS, 'storage-trouble', 'kill', 'restart'],
  [...PROCESSES, ...STORAGE],
  [...PROCESSES, ...BROKERS, ...STORAGE],
]

function planFault(random: Random, at: number, what: Fault['do'], instances: Plan['instances']): Fault {
  const service = random.pick(['gateway', 'block-writer', 'block-writer', 'completeness', 'finalizer'] as const)
  const process = { service, index: random.between(0, instances[service] - 1) }
  const broker = random.between(0, 2)
  switch (what) {
    case 'kill':
      return { at, do: what, ...process, downMs: random.between(100, 5000) }
    case 'restart':
      return { at, do: what, ...process, downMs: random.between(100, 3000) }
    case 'pause':
      return { at, do: what, ...process, forMs: random.pick([800, 6000, 25_000]) }
    case 'stop-broker':
      return { at, do: what, broker, downMs: random.between(500, 12_000) }
    case 'hang-broker':
      return { at, do: what, broker, forMs: random.pick([300, 3000, 17_000]) }
    case 'drain-broker':
      return { at, do: what, broker, extraMs: random.between(100, 3000), forMs: random.between(500, 6000) }
    case 'move-leaders':
      return { at, do: what, share: random.pick([0.2, 0.6, 1]) }
    case 'move-groups':
      return { at, do: what }
    case 'reset-connections':
      return { at, do: what, share: random.pick([0.3, 1]) }
    case 'slow-brokers':
      return {
        at,
        do: what,
        brokers: random.pick([[broker], [0, 1, 2]]),
        extraMs: random.pick([50, 300, 1000, 4000]),
        forMs: random.between(500, 8000),
      }
    case 'storage-trouble':
      return { at, do: what, share: random.pick([0.2, 0.7, 1, 1]), forMs: random.pick([1000, 5000, 12_000]) }
    case 'slow-storage':
      return { at, do: what, extraMs: random.pick([300, 4000]), forMs: random.between(500, 8000) }
    case 'cut-clients':
      return { at, do: what, share: random.pick([0.4, 1]) }
    case 'lease-file':
      return { at, do: what, forMs: random.pick([2000, 20_000, 90_000]) }
    case 'archive-file':
    case 'remove-file':
    case 'damage-file':
    case 'damage-pending':
    case 'damage-checkpoint':
      return { at, do: what }
    default:
      return what satisfies never
  }
}
