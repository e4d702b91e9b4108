import { readFile } from 'node:fs/promises'
import * as oauth from 'oauth4webapi'
import { isLoopback } from './kafka-settings.ts'
import type { Secret } from './secret.ts'

const ANSWER_WITHIN_MS = 10_000
/** Share of a token's life after which another is asked for; if none is to be had, the old one serves to its end. */
const REFRESH_AFTER = 0.8

export interface OauthClient {
  tokenUrl: string
  clientId: string
  clientSecret: Secret
  scope?: string | undefined
}

export interface Token {
  value: string
  /** 0: not known, so it serves once. */
  lifetimeMs: number
}

/** Shares a token among all connections until it is due for renewal; calls at the same time share one request. */
export function cachedToken(request: () => Promise<Token>, now: () => number = () => performance.now()): () => Promise<string> {
  let current: (Token & { since: number }) | undefined
  let asking: Promise<string> | undefined
  const livesFor = (share: number) => current !== undefined && now() < current.since + current.lifetimeMs * share
  const renew = async (): Promise<string> => {
    try {
      const since = now()
      current = { ...(await request()), since }
      return current.value
    } catch (error) {
      if (current !== undefined && livesFor(1)) return current.value
      throw error
    }
  }
  return () => {
    if (current !== undefined && livesFor(REFRESH_AFTER)) return Promise.resolve(current.value)
    return (asking ??= renew().finally(() => (asking = undefined)))
  }
}

/**
 * Asks the token endpoint (RFC 6749 §4.4, client credentials). What passes carries `retriable`, as errors of the Kafka
 * client do; refused credentials do not.
 */
export async function requestToken({ tokenUrl, clientId, clientSecret, scope }: OauthClient): Promise<Token> {
  const { origin, hostname } = new URL(tokenUrl)
  const server: oauth.AuthorizationServer = { issuer: origin, token_endpoint: tokenUrl }
  const client: oauth.Client = { client_id: clientId }
  const options = { signal: AbortSignal.timeout(ANSWER_WITHIN_MS), [oauth.allowInsecureRequests]: isLoopback(hostname) }
  try {
    const parameters = new URLSearchParams(scope === undefined ? {} : { scope })
    const secret = oauth.ClientSecretBasic(clientSecret.reveal())
    const response = await oauth.clientCredentialsGrantRequest(server, client, secret, parameters, options)
    const answer = await oauth.processClientCredentialsResponse(server, client, response)
    return { value: answer.access_token, lifetimeMs: (answer.expires_in ?? 0) * 1000 }
  } catch (cause) {
    const refused = cause instanceof oauth.ResponseBodyError ? `: ${cause.error}` : ''
    const error = new Error(`no OAuth token for Kafka from ${origin}${refused}`, { cause })
    throw Object.assign(error, { retriable: refused === '' })
  }
}

/** A token that another program keeps fresh. */
export async function readToken(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (cause) {
    throw Object.assign(new Error(`the OAuth token file ${path} cannot be read`, { cause }), { retriable: true })
  }
}
