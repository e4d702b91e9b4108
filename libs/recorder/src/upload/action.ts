import type { ClientMessage, ServerMessageOf } from '@longtake/contracts'
import type { LostCause } from '@longtake/contracts/protocol'
import type { SpooledReport } from './outgoing-reports.ts'

/** What the session's edge has to do, in this order. */
export type Action =
  | { do: 'send'; message: ClientMessage }
  /** Read it from the spool and send it, on this connection only. `capturedAt` is in the server's time. */
  | { do: 'send-chunk'; handle: number; part: string; seq: number; capturedAt: number }
  /** These leave the spool: they are durable on the server or, durably declared there, lost. */
  | { do: 'forget-chunks'; part: string; from: number; to: number; outcome: 'acknowledged' | LostCause }
  /** For a page that comes after this one: how the part's start was told. */
  | { do: 'note-opened'; part: string; startedAt: string; clockAheadMs: number }
  /** For a page that comes after this one: what the server does not have durably. */
  | { do: 'note-reports'; reports: SpooledReport[] }
  | { do: 'disconnect' }
  /** From the next connection on this recorder goes by another name. */
  | { do: 'rename-client' }
  /** The connection is gone; `fruitless` counts those in a row by which nothing became durable. */
  | { do: 'reconnect'; code: number | null; fruitless: number }
  | { do: 'refusal'; message: ServerMessageOf<'error'> }
  /** No connection may be made any more. */
  | { do: 'end'; cause: 'taken-over' | 'deleted' }
  /** Nothing more comes, and everything is durable. */
  | { do: 'settled' }
