import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RestoredPart } from '../src/recovery/recovery-plan.ts'
import { LONGEST_DELAY_MS, READS, type DelayCause } from '../src/upload/delayed-chunks.ts'
import type { Action } from '../src/upload/action.ts'
import { OutgoingPart } from '../src/upload/outgoing-part.ts'
import {
  acked,
  asked,
  closed,
  connected,
  connecting,
  cut,
  durable,
  finishDurable,
  finished,
  given,
  NOW,
  opened,
  reconnects,
  says,
  SCREEN,
  sends,
  sendsChunks,
  sendsLost,
  sendsOpen,
  spooled,
  ticked,
  WEBCAM,
  welcomed,
  type Part,
  type Step,
} from './conversation.ts'

describe('a part of a page that is gone', () => {
  const { startedAt: _startedAt, ...names } = SCREEN
  const restored =
    (changes: Partial<RestoredPart> = {}): Step =>
    (session) => {
      session.restorePart({ ...SCREEN, opened: null, acknowledged: [[0, 1]], chunks: [2, 4].map((seq) => ({ seq, bytes: 100, capturedAt: SCREEN.startedAt + seq * 1000 })), lost: [{ from: 3, to: 3, cause: 'quota', declared: false }], closed: { chunks: 5, clean: false }, ...changes })
      return []
    }
  const close = sends({ type: 'close', track: SCREEN.track, part: SCREEN.part, chunks: 5, clean: false })
  it('is opened, closed as it was left, and what waits is sent around what is lost', () => {
    given(restored()).when(connected()).thenDo(sendsOpen(0, SCREEN), close, ...sendsChunks(0, SCREEN, 2), ...sendsChunks(0, SCREEN, 4), sendsLost(SCREEN, 3, 3, 'quota'))
  })
  it('began when the server was told that it did, by the clock of then, which may have been set since', () => {
    const opened = { startedAt: '2026-03-01T10:00:00.000Z', clockAheadMs: 70_000 }
    given(restored({ opened, chunks: [{ seq: 2, bytes: 100, capturedAt: 1000 }] }))
      .when(connected())
      .thenDo(sends({ type: 'open', handle: 0, ...names, startedAt: opened.startedAt }), close, { do: 'send-chunk', handle: 0, part: SCREEN.part, seq: 2, capturedAt: 71_000 }, sendsLost(SCREEN, 3, 3, 'quota'))
  })
  it('is not told again of losses that the server has', () => {
    given(restored({ chunks: [], lost: [{ from: 2, to: 4, cause: 'corrupt', declared: true }] })).when(connected()).thenDo(sendsOpen(0, SCREEN), close)
  })
  it('is all there is: the session settles without a finish when its page was not stopped', () => {
    const leaves: Step = (session) => session.leave()
    given(restored({ chunks: [], lost: [] }), leaves, connected(), durable('open', SCREEN)).when(durable('close', SCREEN)).thenDo({ do: 'settled' })
  })
  it('answers for what the page before had acknowledged', () => {
    given(restored({ chunks: [], lost: [] }), connected()).when(asked(SCREEN, 0, 9)).thenDo(sendsLost(SCREEN, 0, 1, 'already-acknowledged'), sendsLost(SCREEN, 2, 4, 'spool-cleared'))
  })
})

describe('a chunk that the spool does not give now', () => {
  const delayed =
    (cause: DelayCause, seq = 0, at = NOW): Step =>
    (session) =>
      session.chunkDelayed(WEBCAM.part, seq, cause, at)
  const sending: Step[] = [opened(WEBCAM), connected({ windowBytes: 150 }), durable('open', WEBCAM), spooled(WEBCAM, 0, 1)]
  it('leaves its place to the next one, and is sent later', () => {
    given(...sending).when(delayed('store-away')).thenDo(...sendsChunks(0, WEBCAM, 1))
    given(...sending, delayed('store-away'), acked(0, 1)).when(ticked(NOW + 1999)).thenNothing()
    given(...sending, delayed('store-away'), acked(0, 1)).when(ticked(NOW + 2000)).thenDo(...sendsChunks(0, WEBCAM, 0))
  })
  it('is sent later even if the clock is set back', () => {
    given(...sending, delayed('store-away'), acked(0, 1)).when(ticked(NOW - 3_600_000)).thenDo(...sendsChunks(0, WEBCAM, 0))
  })
  it('is waited for, and no answer is given for it', () => {
    given(...sending, delayed('store-away'), acked(0, 1), closed(WEBCAM, 2), finished, durable('close', WEBCAM)).when(finishDurable).thenNothing()
    given(...sending, delayed('store-away'), acked(0, 1)).when(asked(WEBCAM, 0, 0)).thenNothing()
    assert.equal(given(...sending, delayed('store-away'), acked(0, 1)).session.oldestWaitingAt, WEBCAM.startedAt)
  })
  it('outlives the connection', () => {
    given(...sending, delayed('store-away'), acked(0, 1), cut(), connected()).when(ticked(NOW + 2000)).thenDo(...sendsChunks(0, WEBCAM, 0))
  })
  it('is given up for its own fault alone', () => {
    for (const [cause, expected] of [['unreadable', [sendsLost(WEBCAM, 0, 0, 'corrupt')]], ['store-away', []]] as const) {
      const times = Array.from({ length: READS - 1 }, (_, i) => NOW + i * LONGEST_DELAY_MS)
      const tries = times.flatMap((at): Step[] => [delayed(cause, 0, at), ticked(at + LONGEST_DELAY_MS), says({ type: 'pong', t: 0 }, at + LONGEST_DELAY_MS)])
      given(opened(WEBCAM), connected(), spooled(WEBCAM, 0), ...tries).when(delayed(cause)).thenDo(...expected)
    }
  })
  it('keeps no part from a handle that has nothing else to do', () => {
    const parts = Array.from({ length: 257 }, (_, index): RestoredPart => ({ ...WEBCAM, part: `part ${index}`, opened: null, acknowledged: [], chunks: [{ seq: 0, bytes: 1, capturedAt: index }], lost: [], closed: { chunks: 1, clean: false } }))
    const { session } = given()
    for (const part of parts) session.restorePart(part)
    connected()(session)
    const actions = parts.slice(0, 256).flatMap(({ part }, handle) => [
      ...durable('open', { ...WEBCAM, part })(session),
      ...durable('close', { ...WEBCAM, part })(session),
      ...(handle === 0 ? session.chunkDelayed(part, 0, 'store-away', NOW) : acked(handle, 0)(session)),
    ])
    assert.deepEqual(actions.slice(-2), [{ do: 'disconnect' }, reconnects(null, 0)])
  })
})

describe('more parts than handles', () => {
  const parts = Array.from({ length: 300 }, (_, index): Part => ({ ...WEBCAM, part: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}` }))
  it('take a new connection once some are done', () => {
    const { session } = given(...parts.map(opened), connected())
    const first = parts[0]!
    closed(first, 0)(session)
    durable('close', first)(session)
    assert.deepEqual(durable('open', first)(session), [{ do: 'disconnect' }, reconnects(null, 0)])
    const handles = [...connecting(session), ...welcomed()(session)].flatMap((action) => (action.do === 'send' && action.message.type === 'open' ? [action.message] : []))
    assert.deepEqual(
      handles.map(({ handle, part }) => [handle, part]),
      parts.slice(1, 257).map(({ part }, handle) => [handle, part]),
    )
  })
})

describe('recovered parts, more than handles', () => {
  it('send nothing twice, since a connection ends only when all of its parts are done', () => {
    const restored = Array.from({ length: 600 }, (_, index): RestoredPart => ({ ...WEBCAM, part: `part ${index}`, opened: null, acknowledged: [], chunks: [{ seq: 0, bytes: 100, capturedAt: index }], lost: [], closed: { chunks: 1, clean: false } }))
    const { session } = given()
    for (const part of restored) session.restorePart(part)
    const actions = session.leave()
    const done: string[] = []
    for (let action = actions.shift(); action !== undefined || done.at(-1) !== 'settled'; action = actions.shift()) {
      if (action === undefined) actions.push(...connected()(session))
      else if (action.do === 'send-chunk') actions.push(...acked(action.handle, action.seq)(session))
      else if (action.do === 'send' && (action.message.type === 'open' || action.message.type === 'close')) actions.push(...durable(action.message.type, { ...WEBCAM, part: action.message.part })(session))
      if (action !== undefined) done.push(action.do)
    }
    const count = (kind: Action['do']): number => done.filter((each) => each === kind).length
    assert.deepEqual([count('send-chunk'), count('reconnect')], [600, 2])
  })
})

it('tells the oldest of what waits for two days while the store is away', () => {
  const part = new OutgoingPart(WEBCAM)
  for (let seq = 0; seq < 172_800; seq++) {
    part.spooled({ seq, bytes: 100, capturedAt: seq * 1000 })
    part.send()
    part.delay(seq, 'store-away', 0)
  }
  assert.equal(part.oldestWaitingAt, 0)
})
