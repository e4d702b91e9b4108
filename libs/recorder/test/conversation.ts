import assert from 'node:assert/strict'
import type { ClientMessage, ServerMessage } from '@longtake/contracts'
import type { LostCause } from '@longtake/contracts/protocol'
import type { Action } from '../src/upload/action.ts'
import { UploadSession } from '../src/upload/upload-session.ts'

export const WEBCAM = { track: 'webcam', part: '11111111-1111-4111-8111-111111111111', mimeType: 'video/webm;codecs=vp9,opus', startedAt: 1_000_000 }
export const SCREEN = { track: 'screen', part: '22222222-2222-4222-8222-222222222222', mimeType: 'video/webm;codecs=vp9', startedAt: 1_000_500 }
export type Part = typeof WEBCAM

export const NOW = 2_000_000
/** How far the server's clock is ahead of the device's. */
export const AHEAD_MS = 5_000
const iso = (ms: number): string => new Date(ms).toISOString()

/** Something that happens to an upload session. */
export type Step = (session: UploadSession) => Action[]

export const opened =
  (part: Part): Step =>
  (session) =>
    session.openPart(part)

/** Chunks `from`–`to`, each captured `seq` seconds after its part's start. */
export const spooled =
  (part: Part, from: number, to = from, bytes = 100): Step =>
  (session) =>
    seqs(from, to).flatMap((seq) => session.chunkSpooled(part.part, chunk(part, seq, bytes)))

export const notKept =
  (part: Part, seq: number, cause: LostCause, bytes = 100): Step =>
  (session) =>
    session.chunkNotKept(part.part, chunk(part, seq, bytes), cause)

export const missing =
  (part: Part, seq: number): Step =>
  (session) =>
    session.chunkUnreadable(part.part, seq, 'spool-cleared')

export const closed =
  (part: Part, chunks: number): Step =>
  (session) =>
    session.closePart(part.part, chunks, true)

export const finished: Step = (session) => session.finish()

export const connecting: Step = (session) => {
  session.connecting(NOW)
  return []
}

export const says =
  (message: ServerMessage, now = NOW): Step =>
  (session) =>
    session.message(message, now)

export const welcomed = (changes: { windowBytes?: number; maxChunkBytes?: number } = {}): Step =>
  says({ type: 'welcome', session: 's', serverTime: iso(NOW + AHEAD_MS), maxChunkBytes: 1000, windowBytes: 1000, heartbeatMs: 10_000, ...changes })

export const connected =
  (changes: { windowBytes?: number; maxChunkBytes?: number } = {}): Step =>
  (session) => [...connecting(session), ...welcomed(changes)(session)]

export const acked = (handle: number, from: number, to = from): Step => says({ type: 'ack', handle, from, to })
export const durable = (of: 'open' | 'close' | 'lost', { track, part }: Part): Step => says({ type: 'durable', of, track, part })
export const finishDurable = says({ type: 'durable', of: 'finish' })
export const refused = (code: string, { track, part }: Part, seq?: number): Step =>
  says({ type: 'error', code, message: 'no', track, part, ...(seq === undefined ? {} : { seq }) })
export const asked = ({ track, part }: Part, from: number, to: number): Step => says({ type: 'resend', track, part, from, to })
export const cut =
  (code: number | null = 1006): Step =>
  (session) =>
    session.disconnected(code)
export const ticked =
  (now: number, bufferedBytes = 0): Step =>
  (session) =>
    session.tick(now, bufferedBytes)

export const sends = (message: ClientMessage): Action => ({ do: 'send', message })
export const sendsOpen = (handle: number, { startedAt, ...part }: Part): Action => sends({ type: 'open', handle, ...part, startedAt: iso(startedAt + AHEAD_MS) })
export const notesOpened = ({ part, startedAt }: Part): Action => ({ do: 'note-opened', part, startedAt: iso(startedAt + AHEAD_MS), clockAheadMs: AHEAD_MS })
export const sendsChunks = (handle: number, part: Part, from: number, to = from): Action[] =>
  seqs(from, to).map((seq) => ({ do: 'send-chunk', handle, part: part.part, seq, capturedAt: part.startedAt + seq * 1000 + AHEAD_MS }))
export const sendsClose = ({ track, part }: Part, chunks: number): Action => sends({ type: 'close', track, part, chunks, clean: true })
export const sendsLost = ({ track, part }: Part, from: number, to: number, cause: LostCause): Action => sends({ type: 'lost', track, part, from, to, cause })
export const forgets = ({ part }: Part, from: number, to: number, outcome: 'acknowledged' | LostCause = 'acknowledged'): Action => ({ do: 'forget-chunks', part, from, to, outcome })

/** `given(opened(WEBCAM), connected()).when(spooled(WEBCAM, 0)).thenDo(...sendsChunks(0, WEBCAM, 0))` */
export function given(...steps: Step[]) {
  const session = new UploadSession()
  for (const step of steps) step(session)
  return {
    when(...happening: Step[]) {
      const all = happening.flatMap((step) => step(session))
      // What is only for a later page is looked at on its own.
      const [notes, actions] = [all.filter((action) => action.do === 'note-opened'), all.filter((action) => action.do !== 'note-opened')]
      return {
        thenDo: (...expected: Action[]): void => assert.deepEqual(actions, expected),
        thenNotes: (...expected: Action[]): void => assert.deepEqual(notes, expected),
        thenNothing: (): void => assert.deepEqual(actions, []),
        session,
      }
    },
    session,
  }
}

export function seqs(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

function chunk(part: Part, seq: number, bytes: number): { seq: number; bytes: number; capturedAt: number } {
  return { seq, bytes, capturedAt: part.startedAt + seq * 1000 }
}
export const reconnects = (code: number | null, fruitless: number) => ({ do: 'reconnect', code, fruitless }) as const
