import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { CreateSessionResponse, Graces, PublicSession } from '@longtake/contracts'
import { addSummaries, assertContent, checkSession, describeSummary, downloadSession, TestClient, type ClientOptions } from '@longtake/testkit'
import { startSystem, type System, type SystemOptions } from '../local/system.ts'

/** What records, judges and shows; renditions are made apart from it. */
export const RECORDING_SERVICES = ['gateway', 'block-writer', 'completeness', 'finalizer', 'query'] as const

/** A system of its own on free ports; what it wrote is removed when it stops. */
export async function disposableSystem(options: Omit<SystemOptions, 'dataDir'> = {}): Promise<System & AsyncDisposable> {
  const dataDir = await mkdtemp(join(tmpdir(), 'longtake-'))
  const system = await startSystem({ dataDir, ...options })
  return Object.assign(system, {
    async [Symbol.asyncDispose]() {
      await system.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  })
}

/** Where a system is reached, whoever has started it. */
export type Reachable = Pick<System, 'queryUrl' | 'gatewayUrl' | 'apiKey'>

export async function call<T>(system: Reachable, path: string, init: { method?: string; body?: object } = {}): Promise<T> {
  const response = await fetch(system.queryUrl + path, {
    method: init.method ?? 'GET',
    headers: { authorization: `Bearer ${system.apiKey}`, ...(init.body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
  })
  if (!response.ok) throw new Error(`${init.method ?? 'GET'} ${path}: ${response.status} ${await response.text()}`)
  return (await response.json()) as T
}

export const createSession = (system: Reachable, graces: Graces = {}): Promise<CreateSessionResponse> => call(system, '/v1/sessions', { method: 'POST', body: graces })

/** A recorder of the session. */
export function connect(system: Reachable, { id, ingest }: CreateSessionResponse, options: Partial<ClientOptions> = {}): Promise<TestClient> {
  return TestClient.connect({ url: system.gatewayUrl, session: id, token: ingest.token, ...options })
}

/** Asks for the status until it is as wanted; `boundMs` ends the wait with what it was at last. */
export async function untilStatus(system: Reachable, session: string, holds: (status: PublicSession) => boolean, boundMs = 90_000): Promise<PublicSession> {
  const end = Date.now() + boundMs
  for (;;) {
    const status = await call<PublicSession>(system, `/v1/sessions/${session}`)
    if (holds(status)) return status
    if (Date.now() > end) throw new Error(`the status did not become what was waited for: ${JSON.stringify(status)}`)
    await delay(100)
  }
}

export const finalized = (status: PublicSession): boolean => status.version > 0 && status.finalizedVersion === status.version

/** Waits until the session is finalized and lets the checker judge all of it by what its clients know. */
export async function judge(system: Reachable, session: CreateSessionResponse, clients: readonly TestClient[]): Promise<ReturnType<typeof checkSession>> {
  await untilStatus(system, session.id, finalized)
  const seen = await downloadSession(system.queryUrl, session.id, session.watch.token)
  const verdict = checkSession({ session: session.id, finished: true, parts: clients.flatMap(({ parts }) => parts), ...seen })
  assertContent(verdict.findings)
  return verdict
}

export const describeAll = (verdicts: readonly ReturnType<typeof checkSession>[]): string =>
  describeSummary(addSummaries(verdicts.map(({ summary }) => summary)))
