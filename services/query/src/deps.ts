import type { RecordingUrls } from '@longtake/domain'
import type { Logger, Readiness } from '@longtake/service'
import type { Authority } from './auth.ts'
import type { Announcer, Recordings, Sessions, TokenIssuer } from './ports.ts'

export interface Addresses extends RecordingUrls {
  ingest(session: string): string
  watch(session: string): string
}

/** All that the HTTP interface is built on. */
export interface AppDeps {
  logger: Logger
  authority: Authority
  sessions: Sessions
  announcer: Announcer
  recordings: Recordings
  tokens: TokenIssuer
  /** By session; see spool-key.ts. */
  spoolKey: (session: string) => string
  addresses: Addresses
  readiness: () => Readiness
  metrics: () => Promise<string>
  now: () => Date
}
