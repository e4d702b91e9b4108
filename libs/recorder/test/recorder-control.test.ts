import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, test } from 'node:test'
import type { RecorderOptions } from '../src/api.ts'
import { preflight } from '../src/preflight/preflight.ts'
import { startRecorder } from '../src/recorder.ts'
import { spooledClients, withSpoolDatabase } from '../src/spool/spool-database.ts'
import { installFakePage } from './fake-page.ts'
import { FakeSocket } from './fake-socket.ts'
import { FakeMediaRecorder, FakeSource, streamOf, until } from './media-fakes.ts'
import { SPOOL_KEY } from './spool-key.ts'

let restore: () => void
beforeEach(() => {
  restore = installFakePage()
})
afterEach(() => restore())

const camera = () => ({ stream: streamOf(new FakeSource('video'), new FakeSource('audio')) })

function optionsOf(session: string, more: Partial<RecorderOptions> = {}): RecorderOptions {
  return { ingest: { url: `ws://g/v1/ingest/${session}`, token: 't', spoolKey: SPOOL_KEY }, tracks: { webcam: camera(), screen: camera() }, ...more }
}

const heldBy = async (session: string): Promise<number> => ((await navigator.locks.query()).held ?? []).filter(({ name }) => name?.includes(session)).length
const leftBy = async (session: string): Promise<number> => (await withSpoolDatabase(spooledClients)).filter((client) => client.session === session).length
const isFinished = (): boolean => FakeSocket.all[0]!.sent.some(({ type }) => type === 'finish')
const acknowledgeAll = (): void => {
  const [socket] = FakeSocket.all
  for (const { type, ...of } of socket!.sent) if (['open', 'close', 'lost', 'finish'].includes(type)) socket!.says({ type: 'durable', of: type, ...of })
}

test('a recorder whose signal is aborted while it starts records nothing, and leaves nothing', async () => {
  const session = randomUUID()
  FakeMediaRecorder.next = 'wait'
  const abort = new AbortController()
  const starting = startRecorder(optionsOf(session, { signal: abort.signal }))
  await until(() => FakeMediaRecorder.running.length === 2)
  const reason = new Error('the view is gone')
  abort.abort(reason)
  await assert.rejects(starting, (error) => error === reason)
  for (const recorder of FakeMediaRecorder.running) recorder.dispatchEvent(new Event('start'))
  await until(async () => FakeMediaRecorder.running.length === 0 && (await heldBy(session)) === 0)
  assert.equal(await leftBy(session), 0)
  assert.equal(FakeSocket.all.length, 0)
})

test('a signal that is aborted already keeps a recorder from starting', async () => {
  const session = randomUUID()
  await assert.rejects(startRecorder(optionsOf(session, { signal: AbortSignal.abort() })), { name: 'AbortError' })
  assert.deepEqual([FakeMediaRecorder.all.length, await heldBy(session), await leftBy(session)], [0, 0, 0])
})

test('a recorder whose signal is aborted later stops as by stop()', async () => {
  const session = randomUUID()
  const abort = new AbortController()
  const recorder = await startRecorder(optionsOf(session, { signal: abort.signal, tracks: {} }))
  FakeSocket.all[0]!.welcomes()
  abort.abort()
  await until(isFinished)
  acknowledgeAll()
  await recorder.stop()
  assert.equal(recorder.state.phase, 'stopped')
})

test('one track is paused, resumed and stopped while the other goes on', async () => {
  const reports: string[] = []
  const ended: string[] = []
  const recorder = await startRecorder(optionsOf(randomUUID()))
  recorder.on('report', ({ event, track }) => reports.push(`${event} ${track}`))
  recorder.on('error', () => undefined)
  recorder.on('track-ended', ({ track }) => ended.push(track))
  recorder.pause('screen')
  await until(() => FakeMediaRecorder.running.length === 1)
  assert.deepEqual(recorder.tracks, { webcam: 'recording', screen: 'paused' })
  assert.equal(recorder.situation.recording, true)
  recorder.pause()
  assert.deepEqual([recorder.situation.recording, recorder.situation.kind === 'recording'], [false, false])
  recorder.resume('webcam')
  await until(() => FakeMediaRecorder.running.length === 1)
  await recorder.stopTrack('screen')
  assert.deepEqual(recorder.tracks, { webcam: 'recording', screen: 'ended' })
  assert.deepEqual(ended, ['screen'])
  assert.deepEqual(reports, ['paused screen', 'paused webcam', 'resumed webcam'])
  assert.deepEqual(Object.keys(recorder.progress), ['webcam', 'screen'])
  await recorder.addTrack('screen', camera())
  assert.deepEqual(recorder.tracks, { webcam: 'recording', screen: 'recording' })
  for (const call of [() => recorder.pause('phone'), () => recorder.resume('phone')]) assert.throws(call, { code: 'invalid-options' })
  await assert.rejects(recorder.stopTrack('phone'), { code: 'invalid-options' })
  const stopped = recorder.stop()
  FakeSocket.all[0]!.says({ type: 'error', code: 'REC_DELETED', message: 'deleted' })
  FakeSocket.all[0]!.breaks(4410)
  await assert.rejects(stopped, { code: 'deleted' })
})

test('a preflight that is aborted closes its connection and rejects', async () => {
  const abort = new AbortController()
  const checking = preflight({ ingest: { url: 'ws://g/v1/ingest/s', token: 't' }, tracks: {}, signal: abort.signal })
  await until(() => FakeSocket.all.length === 1)
  abort.abort()
  await assert.rejects(checking, { name: 'AbortError' })
  await until(() => FakeSocket.all[0]!.readyState === 3)
  await assert.rejects(preflight({ tracks: {}, signal: abort.signal }), { name: 'AbortError' })
})
