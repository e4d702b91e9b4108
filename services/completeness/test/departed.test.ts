import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordingEvent } from '@longtake/contracts'
import { Sessions } from '../src/sessions.ts'
import { factsOf } from './facts.ts'

const start = Date.now()
const session = factsOf('s1', start)
const other = '20000000-0000-4000-8000-000000000002'
const otherPart = '00000000-0000-4000-8000-00000000000b'

/** One client has finished; another has recorded a whole part and goes at `start + 1`. */
function oneHasLeft(): { sessions: Sessions; judge: (now: number) => [status: string, version: number][] } {
  const sessions = new Sessions()
  const closed = { chunks: 3, clean: true }
  const room = session.committed(1, { part: otherPart, client: other, stored: [[0, 2]], closed })
  const events: RecordingEvent[] = [
    session.connected(),
    { ...session.connected(), client: other, connection: 'k2' } as RecordingEvent,
    session.whole(1),
    { ...room, track: 'room' } as RecordingEvent,
    session.finished,
    { ...session.disconnected, client: other, connection: 'k2' },
  ]
  for (const [offset, event] of events.entries()) sessions.fold(event, BigInt(offset))
  const judge = (now: number): [status: string, version: number][] => {
    const judged = sessions.judge(now, 10)
    sessions.settle(judged)
    return judged.map(({ state }) => [state.status, state.version])
  }
  return { sessions, judge }
}

test('whether a client that has gone left something on its way is asked, and decided once that is written', () => {
  const { sessions, judge } = oneHasLeft()
  assert.deepEqual(judge(start + 10), [['recording', 0]])
  assert.equal(sessions.isUndecided, true)
  sessions.written(start)
  assert.deepEqual(judge(start + 5000), [['recording', 0]], 'that was before it went')
  sessions.written(start + 5000)
  assert.deepEqual(judge(start + 5001), [['complete', 1]])
  assert.deepEqual([sessions.isUndecided, sessions.hasWork], [false, false])
})

test('where block-writer does not come on, time alone decides it', () => {
  const { sessions, judge } = oneHasLeft()
  assert.deepEqual(judge(start + 10), [['recording', 0]])
  sessions.tick(start + 150_000)
  assert.deepEqual(judge(start + 150_000), [['interrupted', 0]])
  sessions.tick(start + 150_001)
  assert.deepEqual(judge(start + 150_001), [['complete', 1]])
})
