import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { ANSWER_PATIENCE_MS, clientLock, holdLock, holdNewLock, isStillHeld, TrackLocks } from '../src/spool/locks.ts'
import { isAnythingRecorded, recordedTracks } from '../src/spool/recorded-tracks.ts'
import { settled } from './media-fakes.ts'

test('a lock is held by one until it is released, and who waits gets it then', async () => {
  const name = randomUUID()
  const release = await holdLock(name)
  assert.ok(release !== null)
  assert.equal(await holdLock(name, 20), null)
  const waiting = holdLock(name)
  release()
  const next = await waiting
  assert.ok(next !== null, 'as after a reload, when the page before dies late')
  next()
})

test('a track of a session is recorded once, and tracks are taken all or none', async () => {
  const session = randomUUID()
  const [first, second] = [new TrackLocks(session), new TrackLocks(session)]
  await first.hold(['webcam'])
  await first.hold(['webcam', 'phone'])
  await assert.rejects(second.hold(['screen', 'webcam']), { code: 'already-recording', message: /webcam/ })
  await new TrackLocks(session).hold(['screen'])
  await new TrackLocks(randomUUID()).hold(['webcam'])
  first.release()
  await second.hold(['webcam', 'phone'])
  second.release()
})

test('a recorder of the same page is waited for as long as its start or end may take, and named when it stays', async (t) => {
  const session = randomUUID()
  const patiences: number[] = []
  const timeout = AbortSignal.timeout.bind(AbortSignal)
  t.mock.method(AbortSignal, 'timeout', (ms: number) => {
    patiences.push(ms)
    return timeout(50)
  })
  const [first, second] = [new TrackLocks(session), new TrackLocks(session)]
  const [, refused] = await Promise.allSettled([first.hold(['webcam']), second.hold(['webcam'])])
  assert.deepEqual([refused.status, patiences], ['rejected', [5000, 15_000]])
  assert.match(String((refused as PromiseRejectedResult).reason), /StrictMode/)
  const waiting = second.hold(['webcam'])
  first.release()
  await waiting
  second.release()
  const release = await holdLock(`longtake-track:${session}:webcam`)
  await assert.rejects(first.hold(['webcam']), { code: 'already-recording', message: /another tab/ })
  release!()
})

test('any page finds out which tracks of a session are recorded in this browser', async () => {
  const session = randomUUID()
  const locks = new TrackLocks(session)
  await locks.hold(['webcam', 'screen'])
  assert.deepEqual((await recordedTracks(session)).toSorted(), ['screen', 'webcam'])
  assert.deepEqual(await recordedTracks(session.slice(1)), [])
  assert.equal(await isAnythingRecorded(), true)
  locks.release()
  while ((await recordedTracks(session)).length > 0) await settled()
})

test('a lock that was taken from this page is not held by it, and its tracks may be held again', async () => {
  const session = randomUUID()
  const name = clientLock(session, 'c')
  const [release, own] = [await holdNewLock(name), await holdNewLock(randomUUID())]
  const locks = new TrackLocks(session)
  await locks.hold(['webcam'])
  const { held } = await navigator.locks.query()
  const anchor = held!.at(-1)!.name!
  assert.equal(await isStillHeld(name, anchor), true)
  release()
  while (await isStillHeld(name, anchor)) await settled()
  await locks.holdAgain()
  assert.deepEqual(await recordedTracks(session), ['webcam'])
  locks.release()
  own()
})

test('a browser that does not answer when it is asked for a lock holds up nobody, and what comes late is given back', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const late: (() => Promise<void>)[] = []
  t.mock.method(navigator.locks, 'request', (_name: string, _options: LockOptions, callback: () => Promise<void>) => {
    late.push(callback)
    return new Promise(() => undefined)
  })
  for (const asking of [holdLock('a', 20), holdNewLock('b')]) {
    const refused = assert.rejects(asking, { code: 'spool-failed' })
    t.mock.timers.tick(ANSWER_PATIENCE_MS)
    await refused
  }
  await Promise.all(late.map((callback) => callback()))
})
