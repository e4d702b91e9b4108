import type { TSchema } from 'typebox'
import { Declarations } from './declarations.ts'
import { Events } from './events.ts'
import { ClientRequest } from './resends.ts'
import { SessionState } from './status.ts'
import { TOPICS, type TopicKey } from './topics.ts'
import { ClientMessages, ServerMessages } from './wire.ts'

const CHUNK_HEADERS = {
  type: 'object',
  required: ['kind', 'track', 'part', 'client', 'seq', 'sha256', 'capturedAt'],
  properties: {
    kind: { const: 'chunk' },
    track: { type: 'string' },
    part: { type: 'string' },
    client: { type: 'string' },
    seq: { type: 'string', description: 'decimal' },
    sha256: { type: 'string', description: '64 lower-case hex digits' },
    capturedAt: { type: 'string', description: 'decimal milliseconds since the epoch' },
    traceparent: { type: 'string', description: 'W3C trace context' },
  },
}

type Message = Record<string, unknown>
const json = (name: string, payload: TSchema): Message => ({ name, contentType: 'application/json', payload })
const jsonAll = (schemas: Record<string, TSchema>): Record<string, Message> =>
  Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, json(name, schema)]))

const PARKED: Message = { name: 'parked', summary: 'the record as it was, with headers that say where it stood and why it was parked', payload: {} }

const MESSAGES: Record<TopicKey, Record<string, Message>> = {
  chunks: {
    chunk: { name: 'chunk', contentType: 'application/octet-stream', headers: CHUNK_HEADERS, payload: { type: 'string', format: 'binary' } },
    ...jsonAll(Declarations),
  },
  events: jsonAll(Events),
  status: { 'session-state': json('session-state', SessionState) },
  resends: { 'client-request': json('client-request', ClientRequest) },
  parked: { parked: PARKED },
  unwritable: { parked: PARKED },
}

/** The AsyncAPI 3.0 document of all topics and of the ingest connection; `asyncapi.json` beside the sources holds its text. */
export function asyncApiDocument(): object {
  const topics = Object.entries(TOPICS).map(([key, topic]) => [
    key,
    {
      address: topic.name,
      description: `${topic.holds}; keyed by session id`,
      messages: MESSAGES[key as TopicKey],
      bindings: { kafka: { topic: topic.name, topicConfiguration: { 'cleanup.policy': [topic.cleanup], 'retention.ms': topic.retentionMs, 'retention.bytes': -1 } } },
    },
  ])
  return {
    asyncapi: '3.0.0',
    info: { title: 'Longtake', version: '1', description: 'Every message that crosses a process. The binary chunk frame is documented in the README of libs/contracts.' },
    channels: {
      ...Object.fromEntries(topics),
      ingest: {
        address: '/v1/ingest/{sessionId}',
        description: 'WebSocket; where those are blocked the same messages travel by HTTP polling under /v1/ingest/{sessionId}/http (README of libs/contracts)',
        parameters: { sessionId: { description: 'the session' } },
        messages: { ...prefixed('client', ClientMessages), ...prefixed('server', ServerMessages) },
      },
    },
  }
}

const prefixed = (side: string, schemas: Record<string, TSchema>): Record<string, Message> =>
  Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [`${side}-${name}`, json(name, schema)]))
