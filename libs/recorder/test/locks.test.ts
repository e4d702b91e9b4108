import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { ANSWER_PATIENCE_MS, holdLock, holdNewLock, TrackLocks } from '../src/spool/locks.ts'

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
