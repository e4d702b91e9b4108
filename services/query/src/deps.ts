import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { RecordingUrls } from '@longtake/domain'
import type { Logger } from '@longtake/service'
import type { FastifyInstance, RawServerDefault } from 'fastify'
import type { Authority } from './auth.ts'
import type { DeletionPolicy } from './deletion.ts'
import type { Announcer, Recordings, Sessions, TokenIssuer } from './ports.ts'
import type { BrowserPolicy } from './security.ts'

export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, Logger, TypeBoxTypeProvider>

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
  browserPolicy: BrowserPolicy
  deletionPolicy: DeletionPolicy
  now: () => Date
}
