import type { PollingOperation } from '@longtake/contracts/polling'
import { ingestPath } from '@longtake/contracts/protocol'
import { RecorderError } from '../api.ts'

const INGEST_PATH = /^(.*)\/v1\/ingest\/([A-Za-z0-9_-]{1,64})\/?$/

/** The session in an ingest address, and where this client of it connects. */
export function ingestUrlOf(ingestUrl: string, client: string): { session: string; url: string } {
  const { protocol, host, pathname } = parseUrl(ingestUrl) ?? { protocol: '', host: '', pathname: '' }
  const [, prefix, session] = INGEST_PATH.exec(pathname) ?? []
  if (prefix === undefined || session === undefined || !/^(ws|http)s?:$/.test(protocol)) {
    throw new RecorderError('invalid-options', 'ingest.url is not of the form wss://…/v1/ingest/{session}')
  }
  return { session, url: `${protocol.replace('http', 'ws')}//${host}${prefix}${ingestPath(session, client)}` }
}

/** `URL.canParse` is younger than the oldest supported browsers. */
function parseUrl(url: string): URL | null {
  try {
    return new URL(url)
  } catch {
    return null
  }
}

/** @param url as `ingestUrlOf` made it */
export function withClient(url: string, client: string): string {
  return ingestUrlOf(url, client).url
}

/** Where the operations of HTTP polling are. @param url as `ingestUrlOf` made it */
export const pollingUrlOf = (url: string, operation: PollingOperation): string =>
  url.replace('ws', 'http').replace('?', `/http/${operation}?`)
