import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Graces, type RecordingEvent, SessionState, shape } from '@longtake/contracts'
import { judge, nextJudgementAt, toManifest, toPublicSession } from '../src/index.ts'
import { at, committed, connected, created, disconnected, finished, fold, live, ms, parked, part, partA, partB, session, whole } from './facts.ts'

const HOUR = 3600
const all = { webcam: [partA] }
const hole = part({ stored: [[0, 1], [4, 5]], closed: { chunks: 7, clean: true } })
const vanished = [created(), connected(1), committed(1, [hole]), disconnected(10)]
const judged = (seconds: number, ...events: RecordingEvent[]): SessionState => judge(fold(events), ms(seconds)).state
const brief = ({ gaps }: SessionState): unknown[] => gaps.map(({ from, to, state, cause }) => [from, to, state, cause])

test('a day after its client went away a session is abandoned: published with its gaps, all of them confirmed', () => {
  assert.equal(judged(10 + 24 * HOUR - 1, ...vanished).status, 'interrupted')
  const { state, events } = judge(live(vanished).state, ms(10 + 24 * HOUR))
  assert.deepEqual([state.status, state.version, state.endedAt], ['abandoned', 1, at(10)])
  assert.deepEqual(brief(state), [[2, 3, 'confirmed', 'abandoned'], [6, 6, 'confirmed', 'abandoned']])
  assert.deepEqual(events.map((event) => [event.type, 'cause' in event ? event.cause : '', 'status' in event ? event.status : '']), [
    ['gap-confirmed', 'abandoned', ''],
    ['gap-confirmed', 'abandoned', ''],
    ['session-completed', '', 'abandoned'],
  ])
  assert.deepEqual(judge(state, ms(1000 * HOUR)).events, [])
})

test('each session may have graces of its own; what is told again later changes none', () => {
  const graces: Graces = { interruptedAfterMs: 5000, abandonedAfterMs: 20_000 }
  const facts = [created({}, graces), created({}, { abandonedAfterMs: 1000 }), ...vanished.slice(1)]
  assert.deepEqual([14, 15, 29, 30].map((seconds) => judged(seconds, ...facts).status), ['recording', 'interrupted', 'interrupted', 'abandoned'])
})

test('a client that comes back reopens an abandoned session, and its gaps; what follows is the next version', () => {
  const before = judge(fold(vanished), ms(25 * HOUR)).state
  const back = live([connected(26 * HOUR, 'k2')], before)
  assert.deepEqual([back.state.status, back.state.version, back.state.endedAt], ['recording', 1, null])
  assert.deepEqual(back.told.map(({ type }) => type), ['gap-opened', 'gap-opened'])
  assert.equal(back.asked.length, 2)
  const ended = live([committed(26 * 720 + 1, [whole(7)]), finished(all, '300', 26 * HOUR + 20)], back.state)
  assert.deepEqual([ended.state.status, ended.state.version], ['complete', 2])
})

test('late data reopens it, too, whoever brought it', () => {
  const before = judge(fold(vanished), ms(25 * HOUR)).state
  const reopened = live([committed(26 * 720, [part({ stored: [[0, 5]], closed: { chunks: 7, clean: true } })])], before)
  assert.deepEqual([reopened.state.status, brief(reopened.state)], ['recording', [[6, 6, 'open', null]]])
  const again = judge(reopened.state, ms(51 * HOUR)).state
  assert.deepEqual([again.status, again.version, brief(again)], ['abandoned', 2, [[6, 6, 'confirmed', 'abandoned']]])
})

test('what its client finished and never delivered is abandoned, even what was acknowledged and is nowhere', () => {
  const acked = part({ stored: [[0, 1], [4, 5]], closed: { chunks: 6, clean: true }, lost: [{ from: 2, to: 3, cause: 'already-acknowledged' }] })
  const facts = [connected(1), committed(1, [acked]), finished(all), disconnected(61)]
  assert.deepEqual([judged(24 * HOUR, ...facts).status, judged(25 * HOUR, ...facts).status], ['interrupted', 'abandoned'])
  assert.deepEqual(brief(judged(25 * HOUR, ...facts)), [[2, 3, 'confirmed', 'already-acknowledged']])
})

test('what is parked is waited for as what was acknowledged, is abandoned as parked, not as lost, and a replay makes the next version', () => {
  const facts = [connected(1), committed(1, [part({ stored: [[0, 1], [4, 5]], closed: { chunks: 6, clean: true } })]), parked(2, 3), finished(null), disconnected(61)]
  assert.deepEqual(brief(judged(HOUR, ...facts)), [[2, 3, 'open', 'unwritable']])
  const left = judge(fold(facts), ms(25 * HOUR)).state
  assert.deepEqual([left.status, left.version, brief(left)], ['abandoned', 1, [[2, 3, 'confirmed', 'unwritable']]])
  const replayed = live([committed(2, [whole(6)], { at: at(26 * HOUR) })], left).state
  assert.deepEqual([replayed.status, replayed.version, replayed.gaps], ['complete', 2, []])
})

test('who comes back to an abandoned session and brings nothing makes no version; what they bring later does', () => {
  const before = judge(live(vanished).state, ms(25 * HOUR)).state
  const visited = live([connected(26 * HOUR, 'k2'), committed(2, [hole], { at: at(26 * HOUR + 1) }), disconnected(26 * HOUR + 5, 'k2')], before).state
  assert.deepEqual([visited.status, brief(visited)[0]], ['recording', [2, 3, 'open', null]])
  const again = judge(visited, ms(60 * HOUR))
  assert.deepEqual([again.state.status, again.state.version, again.state.endedAt, brief(again.state)], ['abandoned', 1, at(10), brief(before)])
  assert.ok(again.events.every(({ type }) => type !== 'session-completed'))
  assert.deepEqual(judge(again.state, ms(61 * HOUR)), { state: again.state, events: [], requests: [] })
  const brought = live([connected(62 * HOUR, 'k3'), committed(3, [whole(7)], { at: at(62 * HOUR) }), disconnected(62 * HOUR + 5, 'k3')], again.state).state
  const next = judge(brought, ms(100 * HOUR)).state
  assert.deepEqual([next.status, next.version, next.endedAt], ['abandoned', 2, at(62 * HOUR + 5)])
})

test('what a visit changes makes the next version, however it is completed then: an end, a declaration, a part', () => {
  const before = judge(live(vanished).state, ms(25 * HOUR)).state
  const visit = (...events: RecordingEvent[]): SessionState => judge(live([connected(26 * HOUR, 'k2'), ...events, disconnected(27 * HOUR, 'k2')], before).state, ms(60 * HOUR)).state
  const declared = committed(2, [{ ...hole, lost: [{ from: 2, to: 3, cause: 'crash' }] }], { at: at(26 * HOUR) })
  const opened = committed(2, [hole, part({ part: partB })], { at: at(26 * HOUR) })
  assert.deepEqual([visit().version, visit(declared).version, visit(opened).version, visit(finished(all, '100', 26 * HOUR)).version, visit(parked(2)).version], [1, 2, 2, 2, 2])
})

test('so does what came in one go with the visit, before anybody judged', () => {
  const before = judge(live(vanished).state, ms(25 * HOUR)).state
  const visit = (event: RecordingEvent): SessionState => {
    const back = judge(fold([connected(26 * HOUR, 'k2'), event], before), ms(26 * HOUR)).state
    return judge(live([disconnected(27 * HOUR, 'k2')], back).state, ms(60 * HOUR)).state
  }
  const [parkedOnes, ended] = [visit(parked(2)), visit(finished(all, '100', 26 * HOUR))]
  assert.deepEqual([parkedOnes.status, parkedOnes.version, brief(parkedOnes)[0]], ['abandoned', 2, [2, 2, 'confirmed', 'unwritable']])
  assert.deepEqual([ended.status, ended.version, ended.endedAt], ['abandoned', 2, at(26 * HOUR)])
})

test('a part that was named at the end and never came is abandoned, and stands in the manifest', () => {
  const state = judged(25 * HOUR, connected(1), committed(1, [whole(5)], { bytes: 0 }), finished({ webcam: [partA], room: [partB] }), disconnected(61))
  assert.equal(state.status, 'abandoned')
  const { tracks } = toManifest(state, new Map(), ms(25 * HOUR))
  assert.deepEqual(tracks.room, { files: [], parts: [{ part: partB, mimeType: null, startedAt: null, chunks: 0, bytes: 0, stored: [], closed: null }] })
})

test('a part whose chunks are all parked makes no session complete, and stands in status and manifest', () => {
  const facts = [connected(1), committed(1, [whole(5)], { bytes: 0 }), { ...parked(0, 2), track: 'room', part: partB } as RecordingEvent, finished(null), disconnected(61)]
  const state = judged(25 * HOUR, ...facts)
  assert.deepEqual([judged(100, ...facts).status, state.status], ['recording', 'abandoned'])
  const manifest = toManifest(state, new Map(), ms(25 * HOUR))
  assert.deepEqual(manifest.tracks.room?.parts.map(({ part: one }) => one), [partB])
  assert.deepEqual(manifest.gaps.map(({ track, part: one, from, to, state: openness, cause }) => [track, one, from, to, openness, cause]), [['room', partB, 0, 2, 'confirmed', 'unwritable']])
  const shown = toPublicSession(state, { file: () => '', rendition: () => '' }).tracks.room
  assert.deepEqual(shown?.parts.map(({ part: one, gaps }) => [one, gaps.map(({ from, to, cause }) => [from, to, cause])]), [[partB, [[0, 2, 'unwritable']]]])
})

test('what a backend ended stays as it was completed; only what was acknowledged is waited for, and then abandoned', () => {
  const ended = live([...vanished, finished(null)]).state
  assert.deepEqual([ended.status, ended.version], ['complete-with-gaps', 1])
  assert.deepEqual(judge(ended, ms(1000 * HOUR)).events, [])
  const acked = [created(), committed(1, [part({ stored: [[0, 1], [4, 5]], lost: [{ from: 2, to: 2, cause: 'already-acknowledged' }] })]), finished(null)]
  assert.deepEqual(brief(judged(HOUR, ...acked)), [[2, 2, 'open', 'already-acknowledged'], [3, 3, 'confirmed', 'ended']])
  assert.equal(judged(25 * HOUR, ...acked).status, 'abandoned')
})

test('a session of which nothing was ever opened waits for ever', () => {
  assert.equal(judged(1000 * HOUR, created(), connected(1), disconnected(2)).status, 'waiting')
})

test('who is connected is never abandoned; whose gateway died without a word is, counted from when it last spoke', () => {
  const facts = [created({}, { interruptedAfterMs: 1000, abandonedAfterMs: 2000 }), connected(1), committed(1, [hole])]
  assert.equal(judged(150, ...facts).status, 'recording')
  assert.equal(judged(151, ...facts).status, 'abandoned')
  assert.equal(judged(200, ...facts, connected(61)).status, 'recording')
})

test('a clock ahead of ours delays an end and never hastens one', () => {
  const ahead = 2 * HOUR
  const facts = [created(), connected(ahead), committed(1, [hole]), disconnected(ahead + 5)]
  assert.equal(judged(10, ...facts).status, 'recording')
  assert.equal(judged(24 * HOUR + 60, ...facts).status, 'interrupted')
  assert.equal(judged(26 * HOUR + 5, ...facts).status, 'abandoned')
})

test('a state that was kept before there were graces has the usual ones, and is judged when it is due', () => {
  const { graces: _graces, ...old } = judged(10 + HOUR, ...vanished)
  assert.ok(!('graces' in judged(10, ...vanished)))
  assert.deepEqual(shape('session state', SessionState).faults(JSON.parse(JSON.stringify(old))), [])
  assert.equal(nextJudgementAt(old, ms(10 + HOUR)), ms(10 + 24 * HOUR))
  assert.equal(judge(old, ms(10 + 24 * HOUR)).state.session, session)
})

test('while block-writer is behind nothing is abandoned: Kafka may have what seems to be missing', () => {
  const behind = judge(fold(vanished), ms(30 * HOUR), ms(10 + 24 * HOUR) - 1)
  assert.deepEqual([behind.state.status, behind.state.version, behind.events.filter(({ type }) => type === 'gap-confirmed')], ['interrupted', 0, []])
  assert.deepEqual(brief(behind.state), [[2, 3, 'open', null], [6, 6, 'open', null]])
  const { state } = judge(behind.state, ms(30 * HOUR), ms(10 + 24 * HOUR))
  assert.equal(state.status, 'abandoned')
  const loaded = judge(fold([{ type: 'session-finalized', session, at: at(31 * HOUR), version: 1, manifest: 'm1' }], state), ms(31 * HOUR), -Infinity)
  assert.deepEqual([loaded.state.status, loaded.state.version, loaded.events], ['abandoned', 1, []], 'what was abandoned stays so')
})
