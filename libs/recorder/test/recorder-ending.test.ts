import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, test } from 'node:test'
import { startRecorder, type Recorder } from '../src/recorder.ts'
import { spooledClients, withSpoolDatabase, type ClientRecord } from '../src/spool/spool-database.ts'
import { installFakePage } from './fake-page.ts'
import { FakeSocket } from './fake-socket.ts'
import { FakeMediaRecorder, FakeSource, streamOf, until } from './media-fakes.ts'
import { SPOOL_KEY } from './spool-key.ts'

let restore: () => void
beforeEach(() => {
  restore = installFakePage()
})
afterEach(() => restore())

/** A recorder of one track whose connection is up. */
async function recording(): Promise<{ recorder: Recorder; socket: FakeSocket }> {
  const stream = streamOf(new FakeSource('video'), new FakeSource('audio'))
  const recorder = await startRecorder({ ingest: { url: `ws://g/v1/ingest/${randomUUID()}`, token: 't', spoolKey: SPOOL_KEY }, tracks: { webcam: { stream } } })
  await until(() => FakeSocket.all.length > 0)
  const socket = FakeSocket.all[0]!
  socket.welcomes()
  return { recorder, socket }
}

const finishes = (socket: FakeSocket): object[] => socket.sent.filter(({ type }) => type === 'finish')
const spooled = async ({ session }: Recorder): Promise<ClientRecord[]> => (await withSpoolDatabase(spooledClients)).filter((client) => client.session === session)
const heldBy = async ({ session }: Recorder): Promise<number> => ((await navigator.locks.query()).held ?? []).filter(({ name }) => name?.includes(session)).length
function answers(socket: FakeSocket, isAnswered: (type: string) => boolean = () => true): void {
  for (const message of socket.sent.filter(({ type }) => isAnswered(type))) {
    socket.sent.splice(socket.sent.indexOf(message), 1)
    const { type, seq, ...of } = message
    if (type === 'chunk') socket.says({ type: 'ack', handle: 0, from: seq, to: seq })
    else if (type !== 'report') socket.says({ type: 'durable', of: type, ...of })
  }
}
/** All that is sent becomes durable, until the work is done. */
async function answered(socket: FakeSocket, work: Promise<unknown>): Promise<void> {
  let isDone = false
  const done = work.finally(() => (isDone = true))
  await Promise.all([done, until(() => (answers(socket), isDone))])
}
const isClosed = (socket: FakeSocket): boolean => socket.sent.some(({ type }) => type === 'close')

test('stop() ends this share alone, finish() the session, and either is the wish of a page that dies', async () => {
  for (const [how, scope] of [['stop', undefined], ['finish', 'session']] as const) {
    FakeSocket.all = []
    const { recorder, socket } = await recording()
    const ended = recorder[how]()
    assert.equal(recorder.state.phase, 'stopping')
    await until(() => finishes(socket).length > 0)
    assert.deepEqual(finishes(socket).map((message) => ('scope' in message ? message.scope : undefined)), [scope])
    assert.deepEqual((await spooled(recorder)).map((client) => [client.stopped, client.scope]), [[true, scope]])
    await answered(socket, ended)
    assert.deepEqual([recorder.state.phase, await heldBy(recorder), (await spooled(recorder)).length], ['stopped', 0, 0])
  }
})

test('leave() sends everything and ends nothing but this recorder', async () => {
  const { recorder, socket } = await recording()
  const left = recorder.leave()
  await until(() => isClosed(socket))
  assert.deepEqual((await spooled(recorder)).map(({ stopped }) => stopped), [false], 'should the page die, its recovery leaves the session open, too')
  await answered(socket, left)
  assert.deepEqual([recorder.state.phase, finishes(socket).length, FakeMediaRecorder.running.length], ['stopped', 0, 0])
})

test('a signal ends the wait for the network, not the sending', async () => {
  const { recorder, socket } = await recording()
  const late = new Error('too late')
  const deadline = new AbortController()
  const ended = recorder.stop({ signal: deadline.signal })
  await until(() => finishes(socket).length > 0)
  deadline.abort(late)
  await assert.rejects(ended, (error) => error === late)
  assert.deepEqual([recorder.state.phase, (await spooled(recorder)).length], ['stopping', 1])
  await answered(socket, recorder.stop())
  assert.equal(recorder.state.phase, 'stopped')
})

test('a signal that is aborted already does not keep the recording from ending', async () => {
  const { recorder, socket } = await recording()
  await assert.rejects(recorder.stop({ signal: AbortSignal.abort() }), { name: 'AbortError' })
  await until(() => finishes(socket).length > 0)
  assert.equal(FakeMediaRecorder.running.length, 0)
  await answered(socket, recorder.stop())
})

test('finish() may follow stop(), which then resolves only once the end of the session is durable', async () => {
  const { recorder, socket } = await recording()
  const ended = recorder.stop()
  await until(() => finishes(socket).length === 1)
  const finished = recorder.finish()
  assert.deepEqual(finishes(socket).map((message) => 'scope' in message), [false, true])
  await until(() => (answers(socket, (type) => type !== 'finish'), recorder.progress['webcam']?.waiting.chunks === 0))
  socket.says({ type: 'durable', of: 'finish' })
  assert.deepEqual([recorder.state.phase, socket.readyState], ['stopping', FakeSocket.OPEN], 'one of two is durable')
  socket.says({ type: 'durable', of: 'finish' })
  await Promise.all([ended, finished])
})

test('what was left open or finished alone cannot end the session later, and less than was asked changes nothing', async () => {
  const { recorder, socket } = await recording()
  const ended = recorder.stop()
  const left = recorder.leave()
  await until(() => finishes(socket).length > 0)
  await answered(socket, Promise.all([ended, left, recorder.stop()]))
  await assert.rejects(recorder.finish(), { code: 'invalid-options' })
})

test('discard() deletes what is left here, reports what the server has, and sends nothing more', async () => {
  const { recorder, socket } = await recording()
  FakeMediaRecorder.second()
  await until(() => socket.sent.some(({ type }) => type === 'chunk'))
  const ended = recorder.stop()
  const rejected = assert.rejects(ended, { code: 'discarded' })
  const { webcam } = await recorder.discard()
  assert.deepEqual([webcam?.acknowledged.chunks, webcam!.waiting.chunks > 0], [0, true])
  await rejected
  assert.deepEqual([recorder.state.phase, recorder.situation.kind, recorder.situation.recording], ['discarded', 'discarded', false])
  assert.deepEqual([(await spooled(recorder)).length, await heldBy(recorder), FakeMediaRecorder.running.length, finishes(socket).length], [0, 0, 0, 0])
  await assert.rejects(recorder.finish(), { code: 'discarded' })
  assert.deepEqual(Object.keys(await recorder.discard()), ['webcam'])
  assert.equal(FakeSocket.all.length, 1)
})
