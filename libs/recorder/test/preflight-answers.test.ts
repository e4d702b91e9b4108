import { IDBFactory, IDBObjectStore } from 'fake-indexeddb'
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { preflight } from '../src/preflight/preflight.ts'
import { settled } from './media-fakes.ts'

const never = (): Promise<never> => new Promise(() => undefined)
/** A request of which nothing is ever heard. */
const deaf = (): EventTarget => new EventTarget()

function page(t: TestContext, indexedDB: unknown, storage: object = { estimate: never }): void {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const before = { indexedDB: globalThis.indexedDB, isSecureContext: globalThis.isSecureContext }
  Object.assign(globalThis, { indexedDB, isSecureContext: true })
  const parts = { mediaDevices: { enumerateDevices: never }, permissions: { query: never }, storage }
  for (const [name, value] of Object.entries(parts)) Object.defineProperty(navigator, name, { value, configurable: true })
  t.after(() => {
    Object.assign(globalThis, before)
    for (const name of Object.keys(parts)) Reflect.deleteProperty(navigator, name)
  })
}

async function elapses(t: TestContext, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1000) {
    await settled()
    t.mock.timers.tick(1000)
  }
  await settled()
}

test('preflight ends, and names what did not answer, where nothing answers', async (t) => {
  page(t, { open: deaf, deleteDatabase: deaf })
  const looking = preflight({ ingest: { url: 'ws://127.0.0.1:9/v1/ingest/s', token: never }, tracks: { webcam: { source: 'camera' } } })
  await elapses(t, 25_000)
  const { facts, points } = await looking
  assert.equal(facts.storeFault, 'silent')
  assert.deepEqual([facts.devices, facts.permissions, facts.availableBytes], [null, { camera: 'unknown', microphone: 'unknown' }, null])
  assert.deepEqual(facts.uplink, { failed: 'there is no token: the token function did not answer' })
  assert.equal(points.find(({ point }) => point === 'browser')?.verdict, 'fail')
})

test('a store that refuses is another finding than one that does not answer', async (t) => {
  page(t, {
    open: () => {
      throw new DOMException('denied', 'SecurityError')
    },
  })
  const looking = preflight({ tracks: {} })
  await elapses(t, 6000)
  assert.equal((await looking).facts.storeFault, 'refused')
})

test('a store whose commit fails for a full disk is another finding, too', async (t) => {
  page(t, new IDBFactory())
  const put = Reflect.get(IDBObjectStore.prototype, 'put') as (value: unknown, key?: IDBValidKey) => IDBRequest
  t.mock.method(IDBObjectStore.prototype, 'put', function (this: IDBObjectStore, ...record: [unknown]) {
    const request = put.apply(this, record)
    request.addEventListener('success', () => {
      this.transaction.abort()
      Object.defineProperty(this.transaction, 'error', { value: new DOMException('FILE_ERROR_NO_SPACE', 'UnknownError') })
    })
    return request
  })
  const looking = preflight({ tracks: {} })
  await elapses(t, 6000)
  assert.equal((await looking).facts.storeFault, 'full')
})

const directory = (): Promise<object> => Promise.resolve({})
const privateWindow = (): Promise<never> => Promise.reject(new DOMException('Security error when calling GetDirectory', 'SecurityError'))
for (const [what, storage, lasts] of [
  ['has no directory of its own, as in private windows of Firefox and Safari', { estimate: never, getDirectory: privateWindow, persisted: () => Promise.resolve(false) }, false],
  ['is granted as persistent', { estimate: never, getDirectory: directory, persisted: () => Promise.resolve(true) }, true],
  ['has a directory, as also in private windows of Chrome', { estimate: never, getDirectory: directory, persisted: () => Promise.resolve(false) }, 'unknown'],
  ['does not answer', { estimate: never, getDirectory: never, persisted: never }, 'unknown'],
  ['answers only half', { estimate: never, getDirectory: directory, persisted: never }, 'unknown'],
  ['is of a browser that cannot be asked', { estimate: never }, 'unknown'],
] as const) {
  test(`storage that ${what}: lasts ${lasts}`, async (t) => {
    page(t, new IDBFactory(), storage)
    const looking = preflight({ tracks: {} })
    await elapses(t, 12_000)
    assert.equal((await looking).facts.storageLasts, lasts)
  })
}
