import { createHash, timingSafeEqual } from 'node:crypto'
import { LongtakeError } from '@longtake/contracts'
import type { Secret, TokenFault, Tokens } from '@longtake/service'
import type { FastifyRequest } from 'fastify'

const REFUSALS: Record<TokenFault, LongtakeError['code']> = {
  unauthorized: 'UNAUTHORIZED',
  expired: 'UNAUTHORIZED',
  'wrong-scope': 'FORBIDDEN',
  'wrong-session': 'FORBIDDEN',
}

const FAULTS: Record<TokenFault, string> = {
  unauthorized: 'this is none',
  expired: 'this one has expired',
  'wrong-scope': 'this one is not for watching',
  'wrong-session': "this one is another session's",
}

/** Who may do what: the API key may all, a watch token may read its own session. */
export class Authority {
  readonly #keyDigest: Buffer
  readonly #tokens: Tokens
  readonly #now: () => number

  constructor(apiKey: Secret, tokens: Tokens, now: () => number) {
    this.#keyDigest = digest(apiKey.reveal())
    this.#tokens = tokens
    this.#now = now
  }

  requireAdmin(request: FastifyRequest): void {
    const bearer = bearerOf(request)
    if (bearer === undefined) throw new LongtakeError('UNAUTHORIZED', 'send the API key as Authorization: Bearer')
    if (!this.#isKey(bearer)) throw new LongtakeError('UNAUTHORIZED', 'this is not the API key')
  }

  /** A `<video>` cannot set headers, so a token may also stand in the query. */
  async requireWatch(request: FastifyRequest, session: string): Promise<void> {
    const bearer = bearerOf(request)
    if (bearer !== undefined && this.#isKey(bearer)) return
    const token = bearer ?? (request.query as { token?: string }).token
    const outcome = await this.#tokens.verify(token, { session, scope: 'watch', now: this.#now() })
    if (typeof outcome === 'string') {
      throw new LongtakeError(REFUSALS[outcome], `a watch token of this session is needed, as Authorization: Bearer or ?token=; ${token === undefined ? 'none came' : FAULTS[outcome]}`)
    }
  }

  /** Digests have equal length, so that the comparison tells nothing by its time. */
  #isKey(candidate: string): boolean {
    return timingSafeEqual(digest(candidate), this.#keyDigest)
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

function bearerOf(request: FastifyRequest): string | undefined {
  return /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
}
