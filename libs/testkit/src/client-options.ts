export interface ClientOptions {
  /** The gateway's address, e.g. `ws://127.0.0.1:8081`. */
  url: string
  session: string
  token: string
  /** UUID of this recorder; a new one by default. */
  client?: string
  /** Default `header`. */
  tokenAs?: 'header' | 'subprotocol'
  /** Default `websocket`. */
  transport?: 'websocket' | 'polling'
  /** Bound of every wait in ms; default 15,000. */
  timeoutMs?: number
  /** A connection is given up when nothing came for so long, in ms, signs of life being asked for meanwhile. Default: never. */
  livenessMs?: number
  /** Connect again by itself, and send what was not acknowledged, when the connection is lost. Default false. */
  autoReconnect?: boolean
  /**
   * What a `resend` is answered with. `design` (default): chunks that are not acknowledged, `lost` with
   * `already-acknowledged` for the others. `kept`: the chunks, all of them. `none`: nothing; `resends` lists it.
   */
  answerResends?: 'design' | 'kept' | 'none'
}

export interface OpenOptions {
  track: string
  mimeType: string
  /** UUID; a new one by default. */
  part?: string
  /** ISO 8601; now by default. */
  startedAt?: string
}
