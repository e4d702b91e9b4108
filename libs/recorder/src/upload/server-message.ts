import type { ServerMessage } from '@longtake/contracts'

type Fields = Readonly<Record<string, unknown>>

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isText = (value: unknown): value is string => typeof value === 'string'
const isTime = (value: unknown): boolean => isText(value) && Number.isFinite(Date.parse(value))
const isRange = ({ from, to }: Fields): boolean => isCount(from) && isCount(to) && from <= to
const isOptional = (value: unknown, is: (value: unknown) => boolean): boolean => value === undefined || is(value)
const DECLARATIONS: readonly unknown[] = ['open', 'close', 'lost']

// By hand: a schema library would be most of the bundle.
const FITS: Record<ServerMessage['type'], (message: Fields) => boolean> = {
  welcome: ({ serverTime, maxChunkBytes, windowBytes, heartbeatMs }) =>
    isTime(serverTime) && isCount(maxChunkBytes) && maxChunkBytes > 0 && isCount(windowBytes) && isCount(heartbeatMs) && heartbeatMs > 0,
  window: ({ windowBytes }) => isCount(windowBytes),
  ack: (message) => isCount(message['handle']) && isRange(message),
  durable: ({ of, track, part, id }) => of === 'finish' || (of === 'report' && isText(id)) || (DECLARATIONS.includes(of) && isText(track) && isText(part)),
  resend: (message) => isText(message['track']) && isText(message['part']) && isRange(message),
  pong: ({ t }) => typeof t === 'number',
  error: ({ code, message, track, part, seq }) => isText(code) && isText(message) && isOptional(track, isText) && isOptional(part, isText) && isOptional(seq, isCount),
}

/** Reads a text frame of the server. `unknown` is a type that a later server may use: to be ignored; `malformed` is a fault. */
export function parseServerMessage(text: string): ServerMessage | 'unknown' | 'malformed' {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'malformed'
  }
  if (typeof value !== 'object' || value === null || !('type' in value) || !isText(value.type)) return 'malformed'
  if (!Object.hasOwn(FITS, value.type)) return 'unknown'
  return FITS[value.type as ServerMessage['type']](value as Fields) ? (value as ServerMessage) : 'malformed'
}
