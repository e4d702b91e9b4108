import { Type, type Static } from 'typebox'
import { Instant, PartId, ReportId, Seq, SessionId, TrackName } from './ids.ts'
import { LOST_CAUSES, MAX_HANDLE } from './protocol.ts'
import { shape, type Shape } from './schema.ts'

const PartRef = { track: TrackName, part: PartId }
const LostCauseSchema = Type.Enum(LOST_CAUSES)

/** The parts of each track, as `finish` names them. */
export const TrackParts = Type.Record(TrackName, Type.Array(PartId, { maxItems: 10_000 }), { additionalProperties: false, maxProperties: 64 })
export type TrackParts = Static<typeof TrackParts>

/** `session`: the session is over for all clients; absent: for the one that finishes. */
export const FinishScope = Type.Literal('session')

export const ClientMessages = {
  open: Type.Object({
    type: Type.Literal('open'),
    handle: Type.Integer({ minimum: 0, maximum: MAX_HANDLE }),
    ...PartRef,
    mimeType: Type.String({ minLength: 1, maxLength: 200 }),
    startedAt: Instant,
  }),
  close: Type.Object({
    type: Type.Literal('close'),
    ...PartRef,
    chunks: Type.Integer({ minimum: 0, maximum: 0xffff_ffff }),
    clean: Type.Boolean(),
  }),
  lost: Type.Object({ type: Type.Literal('lost'), ...PartRef, from: Seq, to: Seq, cause: LostCauseSchema }),
  report: Type.Object({
    type: Type.Literal('report'),
    /** A report with an id is answered by `durable`, and counts once when it is sent again. */
    id: Type.Optional(ReportId),
    event: Type.String({ minLength: 1, maxLength: 64 }),
    track: Type.Optional(TrackName),
    at: Instant,
    detail: Type.Optional(Type.String({ maxLength: 1000 })),
  }),
  /** Ends the recording of this client, and the session once no other client records. */
  finish: Type.Object({ type: Type.Literal('finish'), parts: TrackParts, scope: Type.Optional(FinishScope) }),
  ping: Type.Object({ type: Type.Literal('ping'), t: Type.Number() }),
} as const
type ClientMessageType = keyof typeof ClientMessages
export type ClientMessageOf<T extends ClientMessageType> = Static<(typeof ClientMessages)[T]>
export type ClientMessage = { [T in ClientMessageType]: ClientMessageOf<T> }[ClientMessageType]

export const ServerMessages = {
  welcome: Type.Object({
    type: Type.Literal('welcome'),
    session: SessionId,
    serverTime: Instant,
    maxChunkBytes: Type.Integer({ minimum: 1 }),
    windowBytes: Type.Integer({ minimum: 1 }),
    heartbeatMs: Type.Integer({ minimum: 1 }),
  }),
  window: Type.Object({ type: Type.Literal('window'), windowBytes: Type.Integer({ minimum: 0 }) }),
  ack: Type.Object({ type: Type.Literal('ack'), handle: Type.Integer({ minimum: 0, maximum: MAX_HANDLE }), from: Seq, to: Seq }),
  durable: Type.Object({
    type: Type.Literal('durable'),
    of: Type.Union([Type.Literal('open'), Type.Literal('close'), Type.Literal('lost'), Type.Literal('finish'), Type.Literal('report')]),
    /** Of a `report`: one without an id, as earlier recorders send it, is not answered. */
    id: Type.Optional(ReportId),
    track: Type.Optional(TrackName),
    part: Type.Optional(PartId),
  }),
  resend: Type.Object({ type: Type.Literal('resend'), ...PartRef, from: Seq, to: Seq }),
  pong: Type.Object({ type: Type.Literal('pong'), t: Type.Number() }),
  error: Type.Object({
    type: Type.Literal('error'),
    code: Type.String(),
    message: Type.String(),
    track: Type.Optional(TrackName),
    part: Type.Optional(PartId),
    seq: Type.Optional(Seq),
  }),
} as const
type ServerMessageType = keyof typeof ServerMessages
export type ServerMessageOf<T extends ServerMessageType> = Static<(typeof ServerMessages)[T]>
export type ServerMessage = { [T in ServerMessageType]: ServerMessageOf<T> }[ServerMessageType]

export type WireFault = { fault: 'not-json' | 'no-type' | 'unknown-type' | 'invalid'; type?: string; details: string }

const clientShapes = compileAll(ClientMessages)
const serverShapes = compileAll(ServerMessages)

/** Reads a client's text frame. `unknown-type` is tolerated by the caller and counted; the rest is malformed. */
export function parseClientMessage(text: string): ClientMessage | WireFault {
  return parseByType<ClientMessage>(text, clientShapes)
}

export function parseServerMessage(text: string): ServerMessage | WireFault {
  return parseByType<ServerMessage>(text, serverShapes)
}

export const isWireFault = (value: object): value is WireFault => 'fault' in value

function compileAll(schemas: Record<string, Parameters<typeof shape>[1]>): Map<string, Shape<Parameters<typeof shape>[1]>> {
  return new Map(Object.entries(schemas).map(([type, schema]) => [type, shape(type, schema)]))
}

function parseByType<M>(text: string, shapes: Map<string, Shape<Parameters<typeof shape>[1]>>): M | WireFault {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { fault: 'not-json', details: 'the text frame is not JSON' }
  }
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined
  if (typeof type !== 'string') return { fault: 'no-type', details: 'the message has no type' }
  const known = shapes.get(type)
  if (known === undefined) return { fault: 'unknown-type', type: type.slice(0, 64), details: 'a message type this version does not know' }
  if (!known.is(value)) return { fault: 'invalid', type, details: known.faults(value).slice(0, 5).join('; ') }
  // The table of shapes is built from the very schemas M is derived from.
  return value as M
}
