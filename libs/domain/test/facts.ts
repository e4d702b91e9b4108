import type { EventOf, Graces, PartState, RecordingEvent, SessionState } from '@longtake/contracts'
import { evolve, judge, type Judgement } from '../src/index.ts'

/** Facts about one session, with all that a test does not care about filled in. */
export const session = 'exam-17'
export const T0 = Date.parse('2026-03-01T10:00:00.000Z')
/** The instant `seconds` after the session's start. */
export const at = (seconds: number): string => new Date(T0 + seconds * 1000).toISOString()
export const ms = (seconds: number): number => T0 + seconds * 1000

export const partA = '00000000-0000-4000-8000-00000000000a'
export const partB = '00000000-0000-4000-8000-00000000000b'
export const laptop = '10000000-0000-4000-8000-000000000001'

export const created = (metadata: Record<string, unknown> = {}, graces?: Graces): RecordingEvent => ({ type: 'session-created', session, at: at(0), metadata, ...(graces === undefined ? {} : { graces }) })
export const connected = (seconds: number, connection = 'k1', client = laptop): RecordingEvent => ({ type: 'client-connected', session, at: at(seconds), client, gateway: 'g1', connection })
export const disconnected = (seconds: number, connection = 'k1', client = laptop): RecordingEvent => ({ type: 'client-disconnected', session, at: at(seconds), client, gateway: 'g1', connection, code: 1001 })
export const finished = (parts: Record<string, string[]> | null, offset = '100', seconds = 60): RecordingEvent => ({ type: 'session-finished', session, at: at(seconds), parts, offset })
export const parked = (from: number, to = from): RecordingEvent => ({ type: 'chunks-parked', session, at: at(5), track: 'webcam', part: partA, from, to })

/** A sealed commit of the webcam's file was decoded; spans are of the picture unless they name their media. */
export const decoded = (number: number, spans: (readonly [startMs: number, endMs: number, media?: 'audio'])[], fields: Partial<EventOf<'file-decoded'>> = {}): EventOf<'file-decoded'> => ({
  type: 'file-decoded', session, at: at(90), version: 1, track: 'webcam', file: 0, commit: { number, id: `c${number}` }, coverage: 'all',
  undecodable: spans.map(([startMs, endMs, media]) => ({ media: media ?? 'video', startMs, endMs })), ...fields,
})

export function part(state: Partial<PartState> = {}): PartState {
  const stored = state.stored ?? []
  return {
    part: partA,
    client: laptop,
    mimeType: 'video/webm',
    startedAt: at(0),
    startMs: 0,
    endMs: 10_000,
    stored,
    chunks: stored.reduce((sum, [from, to]) => sum + to - from + 1, 0),
    bytes: 1000,
    undecodable: [],
    missing: [],
    closed: null,
    lost: [],
    rejected: null,
    ...state,
  }
}
export const whole = (chunks = 5, state: Partial<PartState> = {}): PartState => part({ stored: [[0, chunks - 1]], closed: { chunks, clean: true }, ...state })

export function committed(number: number, parts: PartState[], fields: Partial<EventOf<'blocks-committed'>> = {}): EventOf<'blocks-committed'> {
  const { track = 'webcam', file = 0 } = fields
  return {
    type: 'blocks-committed',
    session,
    at: at(5 * number),
    track,
    file,
    blob: `${session}/${track}/${file}`,
    mimeType: 'video/webm',
    bytes: 100_000,
    durationMs: 10_000,
    startedAt: at(0),
    commit: { number, id: `c${number}` },
    generation: 0,
    blocks: { count: 2, sha256: 'ab'.repeat(32) },
    codecs: ['V_VP9'],
    parts,
    nextOffset: String(number),
    ...fields,
  }
}

export function fold(events: readonly RecordingEvent[], from?: SessionState): SessionState {
  const first = from === undefined ? 0 : Number(from.eventsOffset) + 1
  const state = events.reduce<SessionState | undefined>((folded, event, i) => evolve(folded, event, String(first + i)), from)
  if (state === undefined) throw new Error('no events, no state')
  return state
}

/** Folds the events, judging after each as of that event's own time, as completeness does. */
export function live(events: readonly RecordingEvent[], from?: SessionState): Judgement & { told: RecordingEvent[]; asked: Judgement['requests'] } {
  const told: RecordingEvent[] = []
  const asked: Judgement['requests'] = []
  let state = from
  for (const event of events) {
    const judged = judge(fold([event], state), Date.parse(event.at))
    told.push(...judged.events)
    asked.push(...judged.requests)
    state = judged.state
  }
  if (state === undefined) throw new Error('no events, no state')
  return { state, events: told, requests: asked, told, asked }
}
