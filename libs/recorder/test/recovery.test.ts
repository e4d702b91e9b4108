import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test, type TestContext } from 'node:test'
import type { RecoveryOptions, RecoveryReport } from '../src/api.ts'
import { clientLock, holdLock } from '../src/spool/locks.ts'
import { ACCESS_PATIENCE_MS, recoverPending } from '../src/recovery/recovery.ts'
import { notePageEnd, noteTab } from '../src/spool/page-end.ts'
import { spooledClients, withSpoolDatabase } from '../src/spool/spool-database.ts'
import { Spool } from '../src/spool/spool.ts'
import { FakeSocket } from './fake-socket.ts'
import { settled } from './media-fakes.ts'
import { OTHER_SPOOL_KEY, SPOOL_KEY, spoolKey } from './spool-key.ts'

const PART = '11111111-1111-4111-8111-111111111111'

before(() => Object.assign(globalThis, { isSecureContext: true, addEventListener: () => undefined, removeEventListener: () => undefined }))
after(() => Object.assign(globalThis, { isSecureContext: undefined }))

/** One chunk of a page that is gone. */
async function left({ session = randomUUID() as string, client = 'c', startedAt = 5, stopped = false, scope = undefined as 'session' | undefined } = {}): Promise<string> {
  const spool = await Spool.create({ session, client, ingestUrl: `ws://127.0.0.1:9/v1/ingest/${session}`, startedAt }, await spoolKey())
  await spool.addPart({ part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7 })
  await spool.addChunk({ part: PART, seq: 0, payload: new ArrayBuffer(10), capturedAt: 8 })
  if (stopped) await spool.noteStopped(scope)
  await spool.close()
  return session
}

const isLeft = async (session: string): Promise<boolean> => (await withSpoolDatabase(spooledClients)).some((client) => client.session === session)

/** What becomes of that session; all others are let be. */
async function recovered(session: string, access: RecoveryOptions['access'], more: Partial<RecoveryOptions> = {}): Promise<{ report: RecoveryReport | undefined; errors: string[] }> {
  const errors: string[] = []
  const reports = await recoverPending({ onError: ({ code }) => errors.push(code), ...more, access: (pending) => (pending.session === session ? access(pending) : null) })
  return { report: reports.find((report) => report.session === session), errors }
}

/** Begins to recover over a fake network. @returns ends that */
function recoveringAt(t: TestContext, session: string): () => Promise<unknown> {
  const real = { WebSocket: globalThis.WebSocket, document: globalThis.document }
  FakeSocket.all = []
  Object.assign(globalThis, { WebSocket: FakeSocket, document: new EventTarget() })
  t.after(() => Object.assign(globalThis, real))
  const stopping = new AbortController()
  const recovering = recovered(session, () => ({ token: 't', spoolKey: SPOOL_KEY }), { signal: stopping.signal })
  return () => {
    stopping.abort()
    return recovering
  }
}

test('what nobody opens now stays for another time', async () => {
  const session = await left()
  const asked: object[] = []
  const { report } = await recovered(session, (pending) => {
    asked.push(pending)
    return null
  })
  assert.deepEqual(asked, [{ session, client: 'c', ingestUrl: `ws://127.0.0.1:9/v1/ingest/${session}`, startedAt: 5, stopped: false }])
  assert.equal(report?.outcome, 'skipped')
  assert.equal(await isLeft(session), true)
})

test('what is to be discarded is removed', async () => {
  const session = await left()
  assert.equal((await recovered(session, () => 'discard')).report?.outcome, 'discarded')
  assert.equal(await isLeft(session), false)
})

test('with a wrong key nothing is sent, declared lost or removed', async () => {
  const session = await left()
  const { report, errors } = await recovered(session, () => ({ token: 't', spoolKey: OTHER_SPOOL_KEY }))
  assert.deepEqual([report?.outcome, errors], ['wrong-key', ['wrong-key']])
  assert.equal(await isLeft(session), true)
})

test('an access that fails is asked again until it is there or nobody waits any more', async () => {
  const session = await left()
  const stopping = new AbortController()
  let asked = 0
  const { report, errors } = await recovered(
    session,
    () => {
      asked += 1
      if (asked === 1) return Promise.reject(new Error('offline'))
      stopping.abort()
      return new Promise(() => undefined)
    },
    { signal: stopping.signal },
  )
  assert.deepEqual([report?.outcome, errors, asked], ['stopped', ['token-failed'], 2])
  assert.equal(await isLeft(session), true)
})

test('a listener that throws stops nothing', async (t) => {
  const session = await left()
  const reported = t.mock.fn()
  Object.assign(globalThis, { reportError: reported })
  t.after(() => Object.assign(globalThis, { reportError: undefined }))
  let asked = 0
  const { report } = await recovered(session, () => ((asked += 1) === 1 ? Promise.reject(new Error('offline')) : 'discard'), {
    onError: () => {
      throw new Error('a fault of the page')
    },
  })
  assert.equal(report?.outcome, 'discarded')
  assert.equal(reported.mock.callCount(), 1)
})

test('an access that never answers is asked again, and keeps no other tab from what was left', async (t) => {
  const session = await left()
  const { setTimeout } = globalThis
  t.mock.method(globalThis, 'setTimeout', (task: () => void, ms: number) => setTimeout(task, ms === ACCESS_PATIENCE_MS ? 300 : ms))
  let asked = 0
  const [first, second] = await Promise.all([
    recovered(session, () => ((asked += 1) === 1 ? new Promise(() => undefined) : 'discard')),
    recovered(session, () => 'discard'),
  ])
  assert.deepEqual([first.report, first.errors, asked], [undefined, ['token-failed'], 2])
  assert.equal(second.report?.outcome, 'discarded')
})

test('who lives is left alone, and who dies meanwhile is recovered', async () => {
  const [living, dying] = [await left(), await left()]
  const locks = await Promise.all([holdLock(clientLock(living, 'c')), holdLock(clientLock(dying, 'c'))])
  setTimeout(() => locks[1]?.(), 50)
  const reports = await recoverPending({ access: () => 'discard' })
  assert.deepEqual([living, dying].map((session) => reports.some((report) => report.session === session)), [false, true])
  assert.deepEqual([await isLeft(living), await isLeft(dying)], [true, false])
  locks[0]?.()
})

test('of two recoveries at once one does it', async () => {
  const session = await left()
  const reports = await Promise.all([recovered(session, () => 'discard'), recovered(session, () => 'discard')])
  assert.deepEqual(reports.flatMap(({ report }) => report?.outcome ?? []), ['discarded'])
})

for (const [recorders, says] of [
  [[{ stopped: false }], []],
  [[{ stopped: true }], ['a']],
  // The session went on, and its end is told by who went on.
  [[{ stopped: true }, { stopped: false }], []],
  [[{ stopped: true }, { stopped: true }], ['a', 'b']],
  [[{ stopped: false }, { stopped: true }], ['b']],
] as const) {
  test(`of recorders that began one after another, ${JSON.stringify(recorders)}, these say that the session is over: ${says.join()}`, async (t) => {
    const session = randomUUID()
    const names = ['a', 'b'].slice(0, recorders.length)
    for (const [i, client] of names.entries()) await left({ session, client, startedAt: i, stopped: recorders[i]!.stopped })
    const end = recoveringAt(t, session)
    while (FakeSocket.all.length < names.length) await settled()
    for (const socket of FakeSocket.all) socket.welcomes()
    assert.deepEqual(FakeSocket.all.flatMap(({ sent, url }) => (sent.some(({ type }) => type === 'finish') ? [url.slice(-1)] : [])).toSorted(), says)
    await end()
    await recovered(session, () => 'discard')
  })
}

test('a page that died while it ended the session for all has that said, one that ended its share has not', async (t) => {
  for (const scope of ['session', undefined] as const) {
    const session = await left({ stopped: true, scope })
    const end = recoveringAt(t, session)
    while (FakeSocket.all.length === 0) await settled()
    FakeSocket.all[0]!.welcomes()
    const finishes = FakeSocket.all[0]!.sent.filter(({ type }) => type === 'finish')
    assert.deepEqual(finishes.map((message) => ('scope' in message ? message.scope : undefined)), [scope])
    await end()
    await recovered(session, () => 'discard')
  }
})

test('reports that a page left are sent again under their ids, the end of the page among them only once', async (t) => {
  const session = await left()
  const record = (await withSpoolDatabase(spooledClients)).find((client) => client.session === session)!
  const noted = await Spool.resume(record, await spoolKey())
  assert.ok(noted !== 'wrong-key')
  await noted.spool.noteReports([{ id: 'r1', event: 'slept', detail: 'for 60 s', at: Date.now() }, { id: 'c', event: 'page-closed', at: Date.now() }])
  await noted.spool.close()
  Object.defineProperty(globalThis, 'localStorage', { configurable: true, value: { getItem: () => String(Date.now()), removeItem: () => undefined } })
  t.after(() => Object.defineProperty(globalThis, 'localStorage', { configurable: true, value: undefined }))
  const end = recoveringAt(t, session)
  while (FakeSocket.all.length === 0) await settled()
  FakeSocket.all[0]!.welcomes()
  const reports = FakeSocket.all[0]!.sent.filter((message) => message.type === 'report') as unknown as { id: string; event: string }[]
  assert.deepEqual(reports.map(({ id, event }) => `${id} ${event}`), ['r1 slept', 'c page-closed'])
  FakeSocket.all[0]!.says({ type: 'durable', of: 'report', id: 'r1' })
  await end()
  const later = (await withSpoolDatabase(spooledClients)).find((client) => client.session === session)!
  assert.deepEqual(later.reports?.map(({ id }) => id), ['c'], 'and what is durable is not sent again')
  await recovered(session, () => 'discard')
})

test('a tab that the browser discarded is reported as such, and no other recorder is', async (t) => {
  const notes = new Map<string, string>()
  const sessionStorage = { setItem: (key: string, text: string) => notes.set(key, text), getItem: (key: string) => notes.get(key) ?? null }
  Object.defineProperty(globalThis, 'sessionStorage', { configurable: true, value: sessionStorage })
  t.after(() => Object.defineProperty(globalThis, 'sessionStorage', { configurable: true, value: undefined }))
  const reportsOf = async (session: string, wasDiscarded: boolean): Promise<object[]> => {
    const end = recoveringAt(t, session)
    Object.assign(document, { wasDiscarded })
    while (FakeSocket.all.length === 0) await settled()
    FakeSocket.all[0]!.welcomes()
    const reports = FakeSocket.all[0]!.sent.filter(({ type }) => type === 'report') as unknown as { event: string; at: string }[]
    await end()
    return reports.map(({ event }) => ({ event }))
  }
  const [session, other] = [await left({ client: 'mine' }), await left({ client: 'other' })]
  noteTab('mine')
  assert.deepEqual(await reportsOf(session, false), [], 'a reload is not one')
  assert.deepEqual(await reportsOf(other, true), [])
  assert.deepEqual(await reportsOf(session, true), [{ event: 'discarded' }])
  for (const each of [session, other]) await recovered(each, () => 'discard')
})

test('a page that was closed is told of as such, at its own time, and the note goes with what was left', async (t) => {
  const notes = new Map<string, string>()
  const localStorage = { setItem: (key: string, text: string) => notes.set(key, text), getItem: (key: string) => notes.get(key) ?? null, removeItem: (key: string) => notes.delete(key) }
  Object.defineProperty(globalThis, 'localStorage', { configurable: true, value: localStorage })
  t.after(() => Object.defineProperty(globalThis, 'localStorage', { configurable: true, value: undefined }))
  const session = await left()
  notePageEnd(session, 'c', Date.now() - 60_000)
  const end = recoveringAt(t, session)
  while (FakeSocket.all.length === 0) await settled()
  FakeSocket.all[0]!.welcomes()
  const reports = FakeSocket.all[0]!.sent.filter((message) => message.type === 'report') as unknown as { event: string; at: string }[]
  assert.deepEqual(reports.map(({ event }) => event), ['page-closed'])
  assert.ok(Math.abs(Date.parse(reports[0]!.at) - Date.now() + 60_000) < 5000)
  await end()
  assert.equal(notes.size, 1, 'it is told again by who comes next')
  await recovered(session, () => 'discard')
  assert.equal(notes.size, 0)
})
