import { shape, TokenClaims, type TokenScope } from '@longtake/contracts'
import { errors, jwtVerify, SignJWT } from 'jose'
import type { Secret } from './secret.ts'
import { secret } from './settings.ts'

/** For the services that make or judge tokens. To change the secret, give the old one as the previous one until its tokens have run out. */
export const tokenSettings = {
  tokenSecret: secret('LONGTAKE_TOKEN_SECRET', { help: 'signs and verifies tokens', minLength: 32 }),
  previousTokenSecret: secret('LONGTAKE_TOKEN_SECRET_PREVIOUS', { help: 'verifies tokens signed before a change', minLength: 32, default: undefined }),
}

/** Why a token does not open what was asked for. `unauthorized`: no token, a forged or a malformed one. */
export type TokenFault = 'unauthorized' | 'expired' | 'wrong-scope' | 'wrong-session'

/** Tokens of Longtake: JWT (RFC 7519), HS256, claims `sub` (session), `scope` and `exp` (seconds since the epoch). */
export interface Tokens {
  sign(claims: TokenClaims): Promise<string>
  /** `now`: milliseconds since the epoch. No leeway: at `exp` a token is expired. */
  verify(token: string | undefined, wanted: { session: string; scope: TokenScope; now: number }): Promise<TokenClaims | TokenFault>
}

const ALGORITHM = 'HS256'
const claimsShape = shape('token', TokenClaims)

export function createTokens(secrets: { tokenSecret: Secret; previousTokenSecret?: Secret | undefined }): Tokens {
  const encode = (value: Secret): Uint8Array => new TextEncoder().encode(value.reveal())
  const current = encode(secrets.tokenSecret)
  const accepted = secrets.previousTokenSecret === undefined ? [current] : [current, encode(secrets.previousTokenSecret)]
  return {
    sign: ({ sub, scope, exp }) => new SignJWT({ scope }).setProtectedHeader({ alg: ALGORITHM }).setSubject(sub).setExpirationTime(exp).sign(current),
    async verify(token, { session, scope, now }) {
      if (token === undefined) return 'unauthorized'
      const claims = await readClaims(token, accepted, new Date(now))
      if (typeof claims === 'string') return claims
      if (claims.sub !== session) return 'wrong-session'
      return claims.scope === scope ? claims : 'wrong-scope'
    },
  }
}

async function readClaims(token: string, secrets: readonly Uint8Array[], currentDate: Date): Promise<TokenClaims | 'unauthorized' | 'expired'> {
  for (const key of secrets) {
    try {
      const { payload } = await jwtVerify(token, key, { algorithms: [ALGORITHM], requiredClaims: ['sub', 'scope', 'exp'], currentDate })
      return claimsShape.is(payload) ? payload : 'unauthorized'
    } catch (error) {
      // Only a token whose signature holds is told to be expired.
      if (error instanceof errors.JWTExpired) return 'expired'
      if (error instanceof errors.JWSSignatureVerificationFailed) continue
      if (error instanceof errors.JOSEError) return 'unauthorized'
      throw error
    }
  }
  return 'unauthorized'
}
