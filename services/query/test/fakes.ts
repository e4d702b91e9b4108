import type { Declaration, RecordingEvent, SessionState } from '@longtake/contracts'
import { encodeStatus } from '@longtake/contracts'
import { initialState } from '@longtake/domain'
import { createLogger, createTokens, Secret } from '@longtake/service'
import { publicAddresses } from '../src/addresses.ts'
import { buildApp } from '../src/app.ts'
import { Authority } from '../src/auth.ts'
import type { AppDeps } from '../src/deps.ts'
import type { Recordings } from '../src/ports.ts'
import { SessionTable } from '../src/session-table.ts'
import { spoolKeyOf } from '../src/spool-key.ts'

export const API_KEY = 'a-local-key-of-tests'
export const NOW = Date.parse('2026-03-01T10:00:00Z')

/** The app over a real session table, with announcements kept and folded by `fold`. */
export async function testApp(
  options: {
    recordings?: Partial<Recordings>
    fold?: (event: RecordingEvent) => SessionState | undefined
    log?: (line: string) => void
    corsOrigins?: string[]
    frameAncestors?: string[]
    keepCommittedMs?: number
  } = {},
) {
  const announced: (RecordingEvent | Declaration)[] = []
  const sessions = new SessionTable(async () => undefined)
  const put = (state: SessionState): void => {
    const { key, value, headers } = encodeStatus(state)
    const fault = sessions.apply(key, value, headers)
    if (fault !== undefined) throw new Error(fault)
  }
  const tokens = createTokens({ tokenSecret: new Secret('0123456789abcdef0123456789abcdef') })
  const sign = (session: string, scope: 'ingest' | 'watch', ttlMs = 60_000): Promise<string> => tokens.sign({ sub: session, scope, exp: Math.floor((NOW + ttlMs) / 1000) })
  const absent = async (): Promise<undefined> => undefined
  const deps: AppDeps = {
    logger: createLogger({ service: 'query', instance: 'test', level: options.log ? 'trace' : 'silent' }),
    authority: new Authority(new Secret(API_KEY), tokens, () => NOW),
    sessions,
    announcer: {
      event: async (event) => {
        announced.push(event)
        const state = options.fold?.(event)
        if (state !== undefined) put(state)
      },
      declare: async (declaration) => void announced.push(declaration),
    },
    recordings: { properties: absent, readPiece: () => Promise.reject(new Error('not given')), manifest: absent, ...options.recordings },
    spoolKey: (session) => spoolKeyOf(new Secret('a-secret-of-tests-32-characters-long'), session),
    tokens: { issue: (session, scope) => sign(session, scope) },
    addresses: publicAddresses({ publicUrl: 'https://recordings.example.org', gatewayPublicUrl: 'wss://ingest.example.org' }),
    deletionPolicy: {
      deletedRetentionMs: 30 * 86_400_000,
      keepCommittedMs: options.keepCommittedMs ?? 3_600_000,
      keptAtMostMs: new Map([['recordings.events', 365 * 86_400_000]]),
    },
    browserPolicy: { corsOrigins: options.corsOrigins ?? [], frameAncestors: options.frameAncestors ?? [], connectOrigins: ['wss://ingest.example.org'] },
    now: () => new Date(NOW),
  }
  return { app: await buildApp(deps), announced, put, sign, admin: { authorization: `Bearer ${API_KEY}` } }
}

export const sessionState = (session: string, changes: Partial<SessionState> = {}): SessionState => ({
  ...initialState(session, new Date(NOW).toISOString(), '1'),
  ...changes,
})

export const webcamFile = {
  file: 0,
  blob: 's1/webcam/0',
  mimeType: 'video/webm',
  bytes: 100_000,
  durationMs: 8000,
  startedAt: '2026-03-01T10:00:00Z',
  commit: { number: 4, id: 'c4' },
  generation: 1,
  blocks: { count: 2, sha256: '00'.repeat(32) },
  codecs: ['V_VP9'],
  parts: [],
  at: '2026-03-01T10:00:09Z',
}
