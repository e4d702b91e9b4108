import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, test } from 'node:test'
import type { RecorderOptions } from '../src/api.ts'
import { startRecorder, type Recorder } from '../src/recorder.ts'
import { clientLock } from '../src/spool/locks.ts'
import { spooledClients, withSpoolDatabase } from '../src/spool/spool-database.ts'
import { installFakePage } from './fake-page.ts'
import { FakeSocket } from './fake-socket.ts'
import { FakeMediaRecorder, FakeSource, settled, streamOf, until } from './media-fakes.ts'
import { SPOOL_KEY } from './spool-key.ts'

let restore: () => void
beforeEach(() => {
  restore = installFakePage()
})
afterEach(() => restore())

const optionsOf = (session: string): RecorderOptions => ({
  ingest: { url: `ws://g/v1/ingest/${session}`, token: 't', spoolKey: SPOOL_KEY },
  tracks: { webcam: { stream: streamOf(new FakeSource('video')) } },
})

async function recording(session: string): Promise<Recorder> {
  const recorder = await startRecorder(optionsOf(session))
  recorder.on('error', () => undefined)
  FakeSocket.all.at(-1)!.welcomes()
  FakeMediaRecorder.running.at(-1)!.give('before')
  await until(() => FakeSocket.all.at(-1)!.sent.some(({ type }) => type === 'chunk'))
  return recorder
}

const shows = (persisted: boolean): void => void document.dispatchEvent(Object.assign(new Event('pageshow'), { persisted }))
/** As a browser that frees the locks of pages in its back/forward cache, and another page that takes one. */
const taken = (name: string): Promise<void> => new Promise((resolve) => void navigator.locks.request(name, { steal: true }, () => resolve()))
/** Ends the session of a test, on the server. */
async function ended(recorder: Recorder): Promise<void> {
  const stopped = assert.rejects(recorder.stop(), { code: 'deleted' })
  FakeSocket.all.at(-1)!.says({ type: 'error', code: 'REC_DELETED', message: 'deleted' })
  FakeSocket.all.at(-1)!.breaks(4410)
  await stopped
}

test('a page out of the back/forward cache whose recording was recovered meanwhile goes on as another client', async () => {
  const session = randomUUID()
  const recorder = await recording(session)
  const [before, oldPart] = [recorder.client, FakeMediaRecorder.running[0]!]
  await taken(clientLock(session, before))
  shows(true)
  await until(() => recorder.client !== before && FakeMediaRecorder.running.some((each) => each !== oldPart))
  oldPart.give('late')
  await until(() => FakeSocket.all.length === 2)
  assert.ok(FakeSocket.all[1]!.url.endsWith(recorder.client))
  FakeSocket.all[1]!.welcomes()
  FakeMediaRecorder.running[0]!.give('after')
  await until(() => FakeSocket.all[1]!.sent.some(({ type }) => type === 'chunk'))
  const said = FakeSocket.all[1]!.sent as { type: string; part?: string; seq?: number }[]
  assert.deepEqual(said.filter(({ type }) => type === 'lost' || type === 'close'), [], 'nothing is said of what another page has')
  assert.deepEqual(said.filter(({ type }) => type === 'chunk').map(({ seq }) => seq), [0])
  assert.deepEqual((await withSpoolDatabase(spooledClients)).filter((each) => each.session === session).map(({ client }) => client).toSorted(), [before, recorder.client].toSorted())
  const { held } = await navigator.locks.query()
  assert.ok(held!.some(({ name }) => name === clientLock(session, recorder.client)))
  assert.deepEqual(recorder.tracks, { webcam: 'recording' })
  await ended(recorder)
})

test('a page that kept its locks there goes on as it was, in a next part', async () => {
  const session = randomUUID()
  const recorder = await recording(session)
  const [before, oldPart] = [recorder.client, FakeMediaRecorder.running[0]!]
  shows(false)
  await settled()
  assert.deepEqual(FakeMediaRecorder.running, [oldPart], 'that it is shown first is no return')
  shows(true)
  await until(() => FakeMediaRecorder.running.some((each) => each !== oldPart))
  assert.equal(recorder.client, before)
  await until(() => FakeSocket.all[0]!.sent.some(({ type }) => type === 'close'))
  await ended(recorder)
})

test('a component that mounts twice: the second recorder waits for the first, and goes on in the same session', async () => {
  const session = randomUUID()
  const first = await startRecorder(optionsOf(session))
  first.on('error', () => undefined)
  const stopped = assert.rejects(first.stop(), { code: 'deleted' })
  const second = await startRecorder(optionsOf(session))
  second.on('error', () => undefined)
  assert.deepEqual([first.tracks, second.tracks], [{ webcam: 'ended' }, { webcam: 'recording' }])
  assert.notEqual(first.client, second.client)
  assert.equal(FakeMediaRecorder.running.length, 1)
  FakeSocket.all[0]!.says({ type: 'error', code: 'REC_DELETED', message: 'deleted' })
  FakeSocket.all[0]!.breaks(4410)
  await stopped
  await ended(second)
})
