import type { Manifest, RecordingEvent, Declaration, SessionState } from '@longtake/contracts'
import type { Piece, PromisedVersion } from './track-stream.ts'

/** The folded states of all sessions, as completeness published them. */
export interface Sessions {
  get(session: string): SessionState | undefined
  /** Reads what any instance may already have answered for: catches up with Kafka before it says no. */
  find(session: string): Promise<SessionState | undefined>
  /** Resolves with the state once `holds`; rejects with `UNAVAILABLE` when that takes too long. */
  until(session: string, holds: (state: SessionState) => boolean): Promise<SessionState>
  all(): Iterable<SessionSummary>
}

export interface SessionSummary {
  id: string
  createdAt: string
  status: SessionState['status']
  version: number
  startedAt: string | null
  endedAt: string | null
  tracks: string[]
}

/** Resolves once the broker has it. */
export interface Announcer {
  event(event: RecordingEvent): Promise<void>
  declare(declaration: Declaration): Promise<void>
}

/** `headerBytes` is the whole length of a blob whose metadata do not name it. */
export interface RecordingProperties extends PromisedVersion {
  bytes: number
  lastModified: Date
}

/** What of storage the service reads. */
export interface Recordings {
  /** Of a track's file as it is now, or undefined. */
  properties(blob: string): Promise<RecordingProperties | undefined>
  readPiece(blob: string, offset: number, count: number, signal: AbortSignal): Promise<Piece>
  manifest(blob: string): Promise<Manifest | undefined>
}

export interface TokenIssuer {
  issue(session: string, scope: 'ingest' | 'watch'): Promise<string>
}
