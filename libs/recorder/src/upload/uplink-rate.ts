/** An answered ping. Times are milliseconds of a steady clock. */
export interface Pong {
  bytes: number
  sentAt: number
  pongAt: number
}

export function roundTripOf(pongs: readonly Pong[]): number {
  return Math.round(Math.min(...pongs.map(({ sentAt, pongAt }) => pongAt - sentAt)))
}

/**
 * What the line carries, from pings that were padded and sent one behind the other: what arrived between the first answer
 * and the last, so that neither the way back nor the start counts. Null without any answer.
 */
export function bitsPerSecondOf(pongs: readonly Pong[]): number | null {
  const [first, ...rest] = pongs
  const last = pongs.at(-1)
  if (first === undefined || last === undefined) return null
  const bytes = rest.length === 0 ? first.bytes : rest.reduce((sum, pong) => sum + pong.bytes, 0)
  const ms = rest.length === 0 ? first.pongAt - first.sentAt : last.pongAt - first.pongAt
  return Math.round((bytes * 8000) / Math.max(1, ms))
}
