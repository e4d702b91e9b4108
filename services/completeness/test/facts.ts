import type { EventOf, PartState, RecordingEvent } from '@longtake/contracts'

export const part = '00000000-0000-4000-8000-00000000000a'
export const client = '10000000-0000-4000-8000-000000000001'
const instant = (ms: number): string => new Date(ms).toISOString()

/** Events of one session as gateways and block-writer publish them; `at` in milliseconds since the epoch. */
export function factsOf(session: string, start = Date.now()) {
  const committed = (number: number, state: Partial<PartState> & Pick<PartState, 'stored'>): EventOf<'blocks-committed'> => ({
    type: 'blocks-committed',
    session,
    at: instant(start + number),
    track: 'webcam',
    file: 0,
    blob: `${session}/webcam/0`,
    mimeType: 'video/webm',
    bytes: 1000 + number,
    durationMs: 1000,
    startedAt: instant(start),
    commit: { number, id: `c${number}` },
    generation: 0,
    blocks: { count: 2, sha256: 'ab'.repeat(32) },
    codecs: ['V_VP9'],
    parts: [
      {
        part,
        client,
        mimeType: 'video/webm',
        startedAt: instant(start),
        startMs: 0,
        endMs: 1000,
        chunks: state.stored.reduce((sum, [from, to]) => sum + to - from + 1, 0),
        bytes: 1000,
        undecodable: [],
        missing: [],
        closed: null,
        lost: [],
        rejected: null,
        ...state,
      },
    ],
    nextOffset: String(number),
  })
  return {
    created: { type: 'session-created', session, at: instant(start), metadata: { exam: 'B2' } } satisfies RecordingEvent,
    connected: (at = start): RecordingEvent => ({ type: 'client-connected', session, at: instant(at), client, gateway: 'g1', connection: 'k1' }),
    disconnected: { type: 'client-disconnected', session, at: instant(start + 1), client, gateway: 'g1', connection: 'k1', code: 1001 } satisfies RecordingEvent,
    committed,
    whole: (number: number, chunks = 5): RecordingEvent => committed(number, { stored: [[0, chunks - 1]], closed: { chunks, clean: true } }),
    finished: { type: 'session-finished', session, at: instant(start + 2), parts: { webcam: [part] }, offset: '9' } satisfies RecordingEvent,
    deleted: { type: 'session-deleted', session, at: instant(start + 3) } satisfies RecordingEvent,
  }
}

/** A commit of a session whose recorder has opened that many parts. */
export function manyParts({ committed }: ReturnType<typeof factsOf>, commit: number, count: number): EventOf<'blocks-committed'> {
  const event = committed(commit, { stored: [[0, 4]], closed: { chunks: 5, clean: true } })
  const [one] = event.parts
  const partAt = (i: number): PartState => ({ ...one!, part: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`, startMs: 1000 * i, endMs: 1000 * (i + 1) })
  return { ...event, parts: Array.from({ length: count }, (_, i) => partAt(i)) }
}
