import { exponentialDelayMs, type ClientRequest, type GapState, type SessionState } from '@longtake/contracts'
import { liveConnections } from './clients.ts'
import { isInKafka } from './parts.ts'
import { remembered } from './remembered.ts'
import { grouped, spansTouching } from './spans.ts'
import { epochMs, instantOf } from './time.ts'

/** The second request comes so long after the first, each later one after twice the time. */
const FIRST_PAUSE_MS = 15_000
const LONGEST_PAUSE_MS = 10 * 60_000
/** Asked so often in vain, only a client that connects anew is asked again. */
const MAX_TIMES = 10
/** Requests of one judgement; the rest is asked for at the next. */
const AT_ONCE = 32

type Asked = SessionState['resends'][number]

/**
 * Which chunks to ask for now. Only what may still come is asked for, and only while somebody is connected; what
 * is parked, or was acknowledged as the client says, is not asked for: Kafka has it.
 * @param now milliseconds since the epoch
 */
export function resendsFor(state: SessionState, gaps: readonly GapState[], now: number): { resends: Asked[]; requests: ClientRequest[] } {
  const newestClient = newestClientAt(state, now)
  const areOfGaps = gapsOfResends.get(state.resends) === gaps
  if (areOfGaps && !isMoreToAsk(gaps, state.resends, newestClient, now)) return { resends: state.resends, requests: [] }
  const asked = grouped(state.resends, trackAndPart)
  const resends: Asked[] = []
  const requests: ClientRequest[] = []
  for (const { track, part, from, to } of askableIn(gaps)) {
    // A hole that shrank was asked for when it was larger.
    const last = spansTouching(asked.get(trackAndPart({ track, part })) ?? [], from, to).sort(newestFirst)[0]
    if (newestClient !== null && requests.length < AT_ONCE && isDue(last, newestClient, now)) {
      const fresh = last === undefined || epochMs(last.askedAt) < newestClient
      const askedAt = instantOf(now)
      requests.push({ type: 'resend-requested', session: state.session, track, part, from, to, at: askedAt })
      resends.push({ track, part, from, to, askedAt, times: fresh ? 1 : last.times + 1 })
    } else if (last !== undefined) {
      resends.push({ ...last, from, to })
    }
  }
  const kept = requests.length === 0 && isUnchanged(resends, state.resends) ? state.resends : resends
  gapsOfResends.set(kept, gaps)
  return { resends: kept, requests }
}

/** The gaps that requests are of. */
const gapsOfResends = new WeakMap<readonly Asked[], readonly GapState[]>()
const askableIn = remembered((gaps: readonly GapState[]) => gaps.filter(isAskable))

/** When these are to be asked for again, of the same client and of one that connected later. */
const dueTimes = remembered((resends: readonly Asked[]) => ({
  askedFirst: resends.reduce((least, { askedAt }) => Math.min(least, epochMs(askedAt)), Infinity),
  dueFirst: resends.reduce((least, asked) => Math.min(least, dueAgainAt(asked)), Infinity),
}))

type Gaps = readonly GapState[]

function isMoreToAsk(gaps: Gaps, resends: readonly Asked[], newestClient: number | null, now: number): boolean {
  if (newestClient === null) return false
  const { askedFirst, dueFirst } = dueTimes(resends)
  return askableIn(gaps).length > resends.length || askedFirst < newestClient || dueFirst <= now
}

/** Since when the newest of those is connected who are there; null for nobody. */
function newestClientAt({ clients }: Pick<SessionState, 'clients'>, now: number): number | null {
  const live = liveConnections(clients, now)
  // Its gateway's clock may be ahead of ours: until that moment has come it would be newer than every request.
  return live.length === 0 ? null : Math.max(-Infinity, ...live.map(({ since }) => epochMs(since)).filter((since) => since <= now))
}

function isDue(last: Asked | undefined, newestClient: number, now: number): boolean {
  if (last === undefined || epochMs(last.askedAt) < newestClient) return true
  return now >= dueAgainAt(last)
}

/** When something of what `resendsFor` left is to be asked for; `Infinity` for never, unless something happens before. */
export function nextResendAt(state: SessionState, now: number): number {
  const newestClient = newestClientAt(state, now)
  if (newestClient === null) return Infinity
  // Those that were too many for one judgement are due at once.
  return isMoreToAsk(state.gaps, state.resends, newestClient, now) ? now : dueTimes(state.resends).dueFirst
}

/** When a request is repeated of the same client; `Infinity` when it is not. */
function dueAgainAt({ askedAt, times }: Asked): number {
  return times < MAX_TIMES ? epochMs(askedAt) + exponentialDelayMs(times, { firstMs: FIRST_PAUSE_MS, maxMs: LONGEST_PAUSE_MS }) : Infinity
}

const isAskable = ({ kind, state, cause }: GapState): boolean => kind === 'lost' && state === 'open' && !isInKafka(cause)

function isUnchanged(a: readonly Asked[], b: readonly Asked[]): boolean {
  return a.length === b.length && a.every((asked, i) => asked.from === b[i]!.from && asked.to === b[i]!.to && asked.part === b[i]!.part && asked.track === b[i]!.track)
}

const newestFirst = (a: Asked, b: Asked): number => epochMs(b.askedAt) - epochMs(a.askedAt)
const trackAndPart = ({ track, part }: Pick<Asked, 'track' | 'part'>): string => `${track} ${part}`
