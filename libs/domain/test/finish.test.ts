import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SessionState, shape, type RecordingEvent } from '@longtake/contracts'
import { judge, nextJudgementAt } from '../src/index.ts'
import { at, committed, connected, created, disconnected, finished, fold, live, ms, part, partA, partB, session, whole } from './facts.ts'

const phone = '20000000-0000-4000-8000-000000000002'
const partC = '00000000-0000-4000-8000-00000000000c'
const HOUR = 3600
const Valid = shape('session state', SessionState)

/** The laptop records the webcam, the phone the room; each has one part, closed and whole. */
const both = [
  created(),
  connected(1),
  connected(2, 'k2', phone),
  committed(1, [whole(5)]),
  committed(2, [whole(3, { part: partB, client: phone })], { track: 'room' }),
]
const laptopEnds = finished({ webcam: [partA] }, '100', 60)
const phoneEnds = finished({ room: [partB] }, '120', 80)
const statusAt = (seconds: number, events: readonly RecordingEvent[]): string => judge(fold(events), ms(seconds)).state.status

test('one device: its end completes the session at once, while it is still connected', () => {
  const { state, told } = live([created(), connected(1), committed(1, [whole(5)]), laptopEnds])
  assert.deepEqual([state.status, state.version], ['complete', 1])
  assert.deepEqual(told.map(({ type }) => type), ['session-completed'])
})

test('two devices: the end of one does not complete the session while the other is between two parts', () => {
  const first = live([...both, laptopEnds])
  assert.deepEqual([first.state.status, first.state.version, first.told], ['recording', 0, []])
  const second = live([committed(13, [whole(3, { part: partB, client: phone }), whole(4, { part: partC, client: phone, startMs: 10_000, endMs: 14_000 })], { track: 'room' })], first.state)
  assert.equal(second.state.status, 'recording', 'its next part is whole, too')
  const last = live([finished({ room: [partB, partC] }, '120', 80)], second.state)
  assert.deepEqual([last.state.status, last.state.version, last.state.endedAt], ['complete', 1, at(80)])
})

test('two devices finish one after the other and stay connected: the later end does not undo the earlier one', () => {
  assert.equal(statusAt(81, [...both, laptopEnds, phoneEnds]), 'complete')
  assert.equal(statusAt(81, [...both, phoneEnds, laptopEnds]), 'complete', 'in either order')
  const again = finished({ webcam: [partA] }, '140', 90)
  assert.equal(statusAt(91, [...both, laptopEnds, phoneEnds, again, phoneEnds]), 'complete', 'repeated after a reconnect')
})

test('two devices record the same track: each finishes its own parts', () => {
  const doubled = [created(), connected(1), connected(2, 'k2', phone), committed(1, [whole(5), whole(3, { part: partB, client: phone })])]
  assert.equal(statusAt(61, [...doubled, laptopEnds]), 'recording')
  assert.equal(statusAt(81, [...doubled, laptopEnds, finished({ webcam: [partB] }, '120', 80)]), 'complete')
})

test('a device that vanishes between two parts is not waited for once its connection has ended', () => {
  assert.equal(statusAt(71, [...both, laptopEnds, disconnected(70, 'k2', phone)]), 'complete')
})

test('when its gateway died with it, the session goes on until the connection counts as gone', () => {
  const { state } = judge(fold([...both, connected(60), laptopEnds]), ms(61))
  assert.equal(state.status, 'recording')
  assert.equal(nextJudgementAt(state, ms(61)), ms(2 + 150))
  assert.equal(judge(state, ms(2 + 150)).state.status, 'complete')
})

test('a device that vanishes within a part is waited for as ever, and then its hole is confirmed', () => {
  const open = committed(3, [part({ part: partB, client: phone, stored: [[0, 1], [4, 5]] })], { track: 'room' })
  const vanished = [...both, open, laptopEnds, disconnected(70, 'k2', phone), disconnected(71)]
  assert.equal(statusAt(72, vanished), 'recording')
  assert.equal(statusAt(71 + 120, vanished), 'interrupted')
  const { state } = judge(fold(vanished), ms(71 + 24 * HOUR))
  assert.equal(state.status, 'abandoned')
  assert.deepEqual(state.gaps.map(({ from, to, state: openness, cause }) => [from, to, openness, cause]), [[2, 3, 'confirmed', 'abandoned']])
})

test('a backend ends the session for everyone: nobody between two parts is waited for', () => {
  assert.equal(statusAt(61, [...both, finished(null)]), 'complete')
  assert.equal(statusAt(91, [...both, laptopEnds, finished(null, '130', 90)]), 'complete', 'although one device had finished before')
})

test('a client ends the session for everyone: nobody between two parts is waited for, but a part that is open is', () => {
  const everyone: RecordingEvent = { type: 'session-finished', session, at: at(60), parts: { webcam: [partA] }, scope: 'session', offset: '100' }
  assert.equal(statusAt(61, [...both, everyone]), 'complete')
  const open = committed(3, [part({ part: partB, client: phone, stored: [[0, 3]] })], { track: 'room' })
  assert.equal(statusAt(61, [...both, open, everyone]), 'recording')
  assert.equal(statusAt(81, [...both, everyone, finished({ webcam: [partA] }, '110')]), 'recording', 'the latest end counts')
})

test('a client that reconnects after its end holds nothing open', () => {
  const { state } = live([...both, laptopEnds, phoneEnds, disconnected(90), connected(91, 'k3')])
  assert.deepEqual([state.status, state.version], ['complete', 1])
  assert.equal(statusAt(71, [...both, laptopEnds, disconnected(65), connected(66, 'k3'), disconnected(70, 'k2', phone)]), 'complete')
})

test('a client that opens another part after its end has not finished until it ends that, too', () => {
  const [before, after] = [whole(5), whole(2, { part: partC, startMs: 10_000, endMs: 12_000 })]
  const ended = live([created(), connected(1), committed(1, [before]), laptopEnds])
  const goesOn = live([committed(14, [before, after])], ended.state)
  assert.equal(goesOn.state.status, 'recording', 'although that part is whole')
  const again = live([finished({ webcam: [partA, partC] }, '150', 90)], goesOn.state)
  assert.deepEqual([again.state.status, again.state.version], ['complete', 2])
})

test('a connected client of which no part is known records nothing and holds nothing open', () => {
  assert.equal(statusAt(61, [created(), connected(1), connected(2, 'k2', phone), committed(1, [whole(5)]), laptopEnds]), 'complete')
})

test('a device that returns to a completed session and brings nothing makes no new version', () => {
  const complete = live([...both, laptopEnds, disconnected(70, 'k2', phone)])
  const visited = live([connected(100, 'k3', phone)], complete.state)
  assert.equal(visited.state.status, 'recording')
  const gone = live([disconnected(110, 'k3', phone)], visited.state)
  assert.deepEqual([gone.state.status, gone.state.version, gone.state.endedAt, gone.told], ['complete', 1, at(60), []])
})

test('a state of a version that kept only the latest end loads, and completes when the others have gone', () => {
  const { named: _named, ...finish } = fold([...both, laptopEnds, phoneEnds]).finish!
  const old = { ...fold([...both, laptopEnds, phoneEnds]), finish }
  assert.deepEqual(Valid.faults(JSON.parse(JSON.stringify(old))), [])
  assert.equal(judge(old, ms(81)).state.status, 'recording')
  assert.equal(judge(fold([disconnected(90)], old), ms(91)).state.status, 'complete')
})

test('one device adds no names to the state, and made-up ones are bounded', () => {
  assert.deepEqual(fold([laptopEnds]).finish, { parts: { webcam: [partA] }, at: at(60), offset: '100' })
  const made = (track: string, count: number): Record<string, string[]> => ({ [track]: Array.from({ length: count }, (_, i) => `00000000-0000-4000-8000-${track.length}${String(i).padStart(11, '0')}`) })
  const events = [
    ...Array.from({ length: 3 }, (_, i): RecordingEvent => finished(made('x'.repeat(i + 1), 2500), String(i))),
    ...Array.from({ length: 100 }, (_, i): RecordingEvent => finished(made(`t${i}`, 1), String(10 + i))),
  ]
  const state = fold([created(), ...events])
  assert.deepEqual(Valid.faults(JSON.parse(JSON.stringify(state))), [])
  assert.ok(Object.values(state.finish!.named!).flat().length <= 3000)
  assert.deepEqual(fold([created(), ...events.toReversed()]).finish, state.finish, 'in any order')
})
