import { Declarations } from './declarations.ts'
import { ERROR_CODES } from './errors.ts'
import { Events } from './events.ts'
import { PARKED_REASONS } from './parked.ts'
import { ClientRequest } from './resends.ts'
import { SessionState } from './status.ts'
import { TOPICS } from './topics.ts'
import { ClientMessages, ServerMessages } from './wire.ts'

/** Everything that crosses a process, in one place; tests hold fixtures, documents and READMEs against it. */
export const CATALOGUE = {
  topics: TOPICS,
  declarations: Declarations,
  events: Events,
  status: { 'session-state': SessionState },
  requests: { 'client-request': ClientRequest },
  clientMessages: ClientMessages,
  serverMessages: ServerMessages,
  errors: ERROR_CODES,
  parked: PARKED_REASONS,
} as const
