import { BEARER_SUBPROTOCOL_PREFIX, isSessionId, isUuid, SUBPROTOCOL, type WireErrorCode } from '@longtake/contracts'
import type { Tokens } from '@longtake/service'

/** What a request to connect says, read before anything is awaited. */
export interface UpgradeRequest {
  session: string | undefined
  client: string | undefined
  authorization: string
  /** The header `Sec-WebSocket-Protocol`. */
  subprotocols: string
}

export interface Identity {
  session: string
  client: string
  /** Milliseconds since the epoch. */
  expiresAt: number
}

export type Judgement = { identity: Identity; subprotocol: string } | { status: 400 | 401; code: WireErrorCode; message: string }

/** Judges a request to connect. Nothing it returns repeats the token. */
export async function judgeUpgrade(request: UpgradeRequest, tokens: Tokens, now: number): Promise<Judgement> {
  const { session, client } = request
  if (!isSessionId(session)) return refused(400, 'REC_MALFORMED', 'the path is /v1/ingest/{session}?client={uuid}, and this is no session id')
  if (!isUuid(client)) return refused(400, 'REC_MALFORMED', 'client in the query must be a UUID')
  const offered = request.subprotocols.split(',').map((name) => name.trim())
  const verdict = await tokens.verify(findToken(request.authorization, offered), { session, scope: 'ingest', now })
  switch (verdict) {
    case 'unauthorized':
      return refused(401, 'REC_UNAUTHORIZED', 'no token, or one that is not ours')
    case 'expired':
      return refused(401, 'REC_EXPIRED', 'the token has run out')
    case 'wrong-scope':
      return refused(401, 'REC_UNAUTHORIZED', 'the token is not for recording')
    case 'wrong-session':
      return refused(401, 'REC_UNAUTHORIZED', 'the token is for another session')
    default:
      return { identity: { session, client, expiresAt: verdict.exp * 1000 }, subprotocol: offered.includes(SUBPROTOCOL) ? SUBPROTOCOL : '' }
  }
}

/** Browsers cannot set headers on a WebSocket: there the token travels as a subprotocol. */
function findToken(authorization: string, offered: readonly string[]): string | undefined {
  const header = /^Bearer +(\S+)$/i.exec(authorization)?.[1]
  return header ?? offered.find((name) => name.startsWith(BEARER_SUBPROTOCOL_PREFIX))?.slice(BEARER_SUBPROTOCOL_PREFIX.length)
}

const refused = (status: 400 | 401, code: WireErrorCode, message: string): Judgement => ({ status, code, message })
