import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, test } from 'node:test'
import { startRecorder } from '../src/recorder.ts'
import { clientLock } from '../src/spool/locks.ts'
import { FakeSocket } from './fake-socket.ts'
import { installMediaFakes } from './media-fakes.ts'
import { SPOOL_KEY } from './spool-key.ts'

const real = { WebSocket: globalThis.WebSocket, document: globalThis.document, isSecureContext: globalThis.isSecureContext }
beforeEach(() => {
  installMediaFakes()
  FakeSocket.all = []
  const page = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  Object.assign(globalThis, { WebSocket: FakeSocket, document: page, isSecureContext: true, addEventListener: page.addEventListener.bind(page), removeEventListener: page.removeEventListener.bind(page) })
})
afterEach(() => Object.assign(globalThis, real))

const heldLocks = async (): Promise<(string | undefined)[]> => ((await navigator.locks.query()).held ?? []).map(({ name }) => name)

test('a recorder holds the lock of its client, however long the browser takes to give it', async (t) => {
  const session = randomUUID()
  // As where the page is so busy that all patience is over before anyone looks.
  t.mock.method(AbortSignal, 'timeout', () => AbortSignal.abort(new DOMException('too late', 'TimeoutError')))
  const recorder = await startRecorder({ ingest: { url: `ws://g/v1/ingest/${session}`, token: 't', spoolKey: SPOOL_KEY }, tracks: {} })
  assert.ok((await heldLocks()).includes(clientLock(session, recorder.client)))
  const stopped = recorder.stop()
  FakeSocket.all[0]!.welcomes()
  while (!FakeSocket.all[0]!.sent.some(({ type }) => type === 'finish')) await new Promise((resolve) => setImmediate(resolve))
  FakeSocket.all[0]!.says({ type: 'durable', of: 'finish' })
  await stopped
  assert.ok(!(await heldLocks()).includes(clientLock(session, recorder.client)))
})
