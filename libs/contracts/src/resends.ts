import { Type, type Static } from 'typebox'
import { ClientId, Instant, PartId, Seq, SessionId, TrackName } from './ids.ts'
import { decodeJson, encodeJson } from './json.ts'
import type { EncodedRecord, RecordFault } from './records.ts'
import { shape } from './schema.ts'

/**
 * What completeness, block-writer, and one gateway of the others, ask of whichever gateway holds the session's clients
 * (`recordings.resends`).
 */
export const ClientRequest = Type.Union([
  Type.Object({
    type: Type.Literal('resend-requested'),
    session: SessionId,
    track: TrackName,
    part: PartId,
    from: Seq,
    to: Seq,
    at: Instant,
  }),
  /** Close every client of the session with 4410. */
  Type.Object({ type: Type.Literal('clients-dismissed'), session: SessionId, at: Instant }),
  /** Said by a gateway at a connection's start: an older connection of the same client, on whichever gateway, is closed with 4409. */
  Type.Object({ type: Type.Literal('client-moved'), session: SessionId, client: ClientId, gateway: Type.String(), connection: Type.String(), at: Instant }),
  /** Said by block-writer: the session has parked as much as one may; its chunks are refused for a while, see `REC_PARKING_FULL`. */
  Type.Object({ type: Type.Literal('parking-full'), session: SessionId, at: Instant }),
])
export type ClientRequest = Static<typeof ClientRequest>
const clientRequest = shape('client request', ClientRequest)

export function encodeClientRequest(request: ClientRequest): EncodedRecord {
  return { key: request.session, value: encodeJson(request), headers: { kind: request.type } }
}

export function decodeClientRequest(record: EncodedRecord): ClientRequest | RecordFault {
  const value = decodeJson(record.value)
  if (value === undefined) return { fault: 'not-json', details: 'the request is not JSON' }
  if (!clientRequest.is(value)) return { fault: 'invalid', details: clientRequest.faults(value).slice(0, 5).join('; ') }
  return value
}
