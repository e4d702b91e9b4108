import { DeclarationShapes, type Declaration, type DeclarationType } from './declarations.ts'
import { DIGEST_BYTES } from './frame.ts'
import { decodeJson, encodeJson } from './json.ts'
import { isSessionId, isTrackName, isUuid, MAX_SEQ } from './ids.ts'

/** Kafka record headers of Longtake. All values are UTF-8 text. */
export const HEADERS = {
  /** `chunk`, or the type of a declaration or event. */
  kind: 'kind',
  track: 'track',
  part: 'part',
  /** Decimal. */
  seq: 'seq',
  /** 64 lower-case hex digits. */
  sha256: 'sha256',
  /** Decimal milliseconds since the epoch. */
  capturedAt: 'capturedAt',
  /** The uuid of the recorder that sent it. */
  client: 'client',
  /** Of a status: the holding of a partition by completeness that wrote it. Whoever else writes one leaves it out. */
  writer: 'writer',
  /** W3C trace context. */
  traceparent: 'traceparent',
  tracestate: 'tracestate',
} as const

export interface ChunkRecord {
  kind: 'chunk'
  session: string
  track: string
  part: string
  client: string
  seq: number
  /** Lower-case hex. */
  sha256: string
  capturedAt: number
  payload: Uint8Array
}

/** A record as libs/kafka takes and gives it; key and headers are text, the value is bytes. */
export interface EncodedRecord {
  key: string
  value: Uint8Array
  headers: Record<string, string>
}

export type RecordFault = {
  fault: 'no-key' | 'no-kind' | 'unknown-kind' | 'bad-header' | 'empty-chunk' | 'not-json' | 'invalid'
  details: string
}
export const isRecordFault = (value: object): value is RecordFault => 'fault' in value

export function encodeChunkRecord(chunk: Omit<ChunkRecord, 'kind'>): EncodedRecord {
  return {
    key: chunk.session,
    value: chunk.payload,
    headers: {
      kind: 'chunk',
      track: chunk.track,
      part: chunk.part,
      client: chunk.client,
      seq: String(chunk.seq),
      sha256: chunk.sha256,
      capturedAt: String(chunk.capturedAt),
    },
  }
}

export function encodeDeclaration(declaration: Declaration): EncodedRecord {
  return { key: declaration.session, value: encodeJson(declaration), headers: { kind: declaration.type } }
}

/** Reads any record of `recordings.chunks`; what it cannot read is returned as a fault, to be parked by the caller. */
export function decodeChunksRecord(record: EncodedRecord): ChunkRecord | Declaration | RecordFault {
  if (!isSessionId(record.key)) return { fault: 'no-key', details: 'the key is not a session id' }
  const kind = record.headers[HEADERS.kind]
  if (kind === undefined) return { fault: 'no-kind', details: 'the record has no kind header' }
  if (kind === 'chunk') return decodeChunk(record)
  if (!Object.hasOwn(DeclarationShapes, kind)) return { fault: 'unknown-kind', details: `unknown kind ${JSON.stringify(kind.slice(0, 64))}` }
  const value = decodeJson(record.value)
  if (value === undefined) return { fault: 'not-json', details: `the ${kind} record's value is not JSON` }
  const shape = DeclarationShapes[kind as DeclarationType]
  if (!shape.is(value)) return { fault: 'invalid', details: shape.faults(value).slice(0, 5).join('; ') }
  if (value.session !== record.key) return { fault: 'invalid', details: 'the key and the declaration name different sessions' }
  return value
}

const SHA256_HEX = new RegExp(`^[0-9a-f]{${DIGEST_BYTES * 2}}$`)
const DECIMAL = /^(0|[1-9][0-9]{0,15})$/

function decodeChunk({ key, value, headers }: EncodedRecord): ChunkRecord | RecordFault {
  const { track, part, client, sha256, seq, capturedAt } = headers
  if (!isTrackName(track)) return badHeader('track')
  if (!isUuid(part)) return badHeader('part')
  if (!isUuid(client)) return badHeader('client')
  if (sha256 === undefined || !SHA256_HEX.test(sha256)) return badHeader('sha256')
  if (seq === undefined || !DECIMAL.test(seq) || Number(seq) > MAX_SEQ) return badHeader('seq')
  if (capturedAt === undefined || !DECIMAL.test(capturedAt)) return badHeader('capturedAt')
  if (value.length === 0) return { fault: 'empty-chunk', details: 'a chunk has at least one byte' }
  return { kind: 'chunk', session: key, track, part, client, seq: Number(seq), sha256, capturedAt: Number(capturedAt), payload: value }
}

const badHeader = (name: string): RecordFault => ({ fault: 'bad-header', details: `the header ${name} is missing or malformed` })
