import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordingEvent } from '@longtake/contracts'
import { judge, nextJudgementAt, type Judgement } from '../src/index.ts'
import {
  at, committed, connected, created, disconnected, finished, fold, ms, part, partA, partB, session, whole,
} from './facts.ts'

/*
 * A gateway publishes at once that a client has gone. What the client sent before that is known only once block-writer
 * has committed it: `writtenTo` is how far that is.
 */

const phone = '20000000-0000-4000-8000-000000000002'
const partC = '00000000-0000-4000-8000-00000000000c'

const begun = [created(), connected(1), connected(2, 'k2', phone), committed(1, [whole(5)])]
const laptopEnds = finished({ webcam: [partA] })
const firstPart = whole(3, { part: partB, client: phone })
const nextPart = whole(2, { part: partC, client: phone, startMs: 10_000, endMs: 12_000 })
const phoneLeaves = disconnected(70, 'k2', phone)
/** The laptop has finished; the phone has recorded one part, begins another, and its connection ends. */
const phoneHasLeft = [...begun, committed(2, [firstPart], { track: 'room' }), laptopEnds, phoneLeaves]

interface Moment {
  readonly now: number
  readonly writtenTo: number
}
/** Judges when something was folded in, as completeness does. @param writtenTo seconds after the session's start */
function judgedAt({ now, writtenTo }: Moment, events: readonly RecordingEvent[], from?: Judgement): Judgement {
  return judge(events.length === 0 ? from!.state : fold(events, from?.state), ms(now), ms(writtenTo))
}
const statusAt = (moment: Moment, events: readonly RecordingEvent[]): string => judgedAt(moment, events).state.status
const told = ({ events }: Judgement): string[] => events.map(({ type }) => type)

test('a device goes while its last part and its end are on their way: the first version has that part', () => {
  const left = judgedAt({ now: 70, writtenTo: 69 }, phoneHasLeft)
  assert.deepEqual([left.state.status, left.state.version], ['recording', 0])
  const part = judgedAt({ now: 72, writtenTo: 69 }, [committed(3, [firstPart, nextPart], { track: 'room' })], left)
  assert.deepEqual([part.state.status, told(part)], ['recording', []])
  const ended = judgedAt({ now: 73, writtenTo: 69 }, [finished({ room: [partB, partC] }, '120', 73)], part)
  assert.deepEqual([ended.state.status, ended.state.version, ended.state.endedAt], ['complete', 1, at(73)])
})

test('a device that has gone without an end is waited for until what it sent is written', () => {
  const left = judgedAt({ now: 71, writtenTo: -Infinity }, phoneHasLeft)
  assert.equal(left.state.status, 'recording')
  assert.equal(judgedAt({ now: 75, writtenTo: 69.999 }, [], left).state.status, 'recording')
  const written = judgedAt({ now: 75, writtenTo: 70 }, [], left)
  assert.deepEqual([written.state.status, written.state.version], ['complete', 1])
})

test('where block-writer is stuck, the wait ends when the client would count as gone with its gateway', () => {
  const left = judgedAt({ now: 71, writtenTo: 60 }, phoneHasLeft)
  assert.equal(judgedAt({ now: 219, writtenTo: 60 }, [], left).state.status, 'interrupted')
  const interrupted = judgedAt({ now: 191, writtenTo: 60 }, [], left)
  assert.equal(nextJudgementAt(interrupted.state, ms(191)), ms(70 + 150))
  assert.equal(judgedAt({ now: 220, writtenTo: 60 }, [], interrupted).state.status, 'complete')
})

test('who went long ago is not waited for, however far block-writer is behind', () => {
  const gone = [...begun, committed(2, [firstPart], { track: 'room' }), phoneLeaves]
  const ends = finished({ webcam: [partA] }, '100', 221)
  assert.equal(statusAt({ now: 221, writtenTo: -Infinity }, [...gone, ends]), 'complete')
})

test('a gateway whose clock is ahead delays the end until that time, and one that is far ahead does not', () => {
  const gone = (seconds: number): readonly RecordingEvent[] => [
    ...phoneHasLeft.slice(0, -1),
    disconnected(seconds, 'k2', phone),
  ]
  const ahead = judgedAt({ now: 70, writtenTo: 70 }, gone(75))
  assert.equal(ahead.state.status, 'recording')
  assert.equal(nextJudgementAt(ahead.state, ms(70)), ms(75))
  assert.equal(judgedAt({ now: 75, writtenTo: 75 }, [], ahead).state.status, 'complete')
  assert.equal(statusAt({ now: 70, writtenTo: 70 }, gone(7200)), 'complete')
})

test('one device: its end completes the session at once, also where its connection ended before', () => {
  for (const leaves of [[], [disconnected(59)]]) {
    const events = [created(), connected(1), committed(1, [whole(5)]), ...leaves, laptopEnds]
    assert.equal(statusAt({ now: 60, writtenTo: -Infinity }, events), 'complete')
  }
})

test('a client of which no part is known is not waited for: all that came before the end is written', () => {
  assert.equal(statusAt({ now: 71, writtenTo: -Infinity }, [...begun, laptopEnds, phoneLeaves]), 'complete')
})

test('who has finished is not waited for when they go', () => {
  const phoneEnds = finished({ room: [partB] }, '120', 65)
  const known = [...begun, committed(2, [firstPart], { track: 'room' })]
  const both = [...known, laptopEnds, phoneEnds, phoneLeaves, disconnected(71)]
  assert.equal(statusAt({ now: 71, writtenTo: -Infinity }, both), 'complete')
})

test('the end of the whole session waits for nobody who has gone', () => {
  const everyone: RecordingEvent = { ...finished({ webcam: [partA] }), scope: 'session' } as RecordingEvent
  const gone = [...begun, committed(2, [firstPart], { track: 'room' }), phoneLeaves]
  for (const end of [everyone, finished(null)]) {
    assert.equal(statusAt({ now: 71, writtenTo: -Infinity }, [...gone, end]), 'complete')
  }
})

test('a completed session stays completed after a restart, when it is not known yet what is written', () => {
  const complete = judgedAt({ now: 75, writtenTo: 70 }, phoneHasLeft)
  const sealed: RecordingEvent = { type: 'session-finalized', session, at: at(80), version: 1, manifest: 'm1' }
  const after = judgedAt({ now: 80, writtenTo: -Infinity }, [sealed], complete)
  assert.deepEqual([after.state.status, after.state.version, told(after)], ['complete', 1, []])
})

test('an open part of who has gone is waited for as ever', () => {
  const open = committed(3, [part({ part: partB, client: phone, stored: [[0, 3]] })], { track: 'room' })
  assert.equal(statusAt({ now: 75, writtenTo: 75 }, [...begun, open, laptopEnds, phoneLeaves]), 'recording')
})
