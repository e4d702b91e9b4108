import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import { decodeStatus, encodeEvent, encodeStatus, isRecordFault, type EncodedRecord, type RecordingEvent, type SessionState } from '@longtake/contracts'
import { KafkaError, type KafkaRecord, type OutgoingRecord } from '@longtake/kafka'
import { createLogger } from '@longtake/service'
import { SessionsPartition } from '../src/partition.ts'
import { Publisher } from '../src/publisher.ts'
import { Sessions } from '../src/sessions.ts'
import { client, factsOf, manyParts } from './facts.ts'

const topics = { events: 'events', status: 'status', resends: 'resends' }
const logger = createLogger({ service: 'test', level: 'silent' })

/** A partition between a log that the test writes and a producer that keeps what it is sent. */
function setUp(options: { sessions?: Sessions; loadedTo?: bigint; loadedAt?: number; eventsEnd?: bigint } = {}) {
  const sent: OutgoingRecord[] = []
  const done: bigint[] = []
  const parked: string[] = []
  const lost = new AbortController()
  const broker: { failure: Error | undefined; hold: Promise<void> } = { failure: undefined, hold: Promise.resolve() }
  const producer = {
    async send(record: OutgoingRecord) {
      await broker.hold
      if (broker.failure !== undefined) throw broker.failure
      sent.push(record)
      return { offset: BigInt(sent.length - 1) }
    },
  }
  const publisher = new Publisher({ writer: 'me', producer, partition: 3, topics, logger })
  const partition = new SessionsPartition({
    assigned: { signal: lost.signal, done: (record) => void done.push(record.offset), offsets: new Map() },
    sessions: options.sessions ?? new Sessions(),
    loadedTo: options.loadedTo ?? 0n,
    loadedAt: options.loadedAt ?? 0,
    eventsEnd: options.eventsEnd ?? 0n,
    publisher,
    parker: { park: (record, { reason }) => Promise.resolve(void parked.push(`${record.offset} ${reason}`)) },
    topics,
    logger,
    now: Date.now,
  })
  let next = 0n
  const record = (topic: string, { key, value, headers }: EncodedRecord): KafkaRecord => ({ topic, partition: 3, offset: next++, key, value: Buffer.from(value), tombstone: false, headers, timestamp: 0 })
  const statuses = (): SessionState[] =>
    sent.filter(({ topic, value }) => topic === 'status' && value !== null).map(({ key, value, headers }) => {
      const state = decodeStatus({ key, value: value!, headers: { ...headers } })
      if (isRecordFault(state)) throw new Error(state.details)
      return state
    })
  return { partition, publisher, sent, done, parked, lost, broker, record, statuses, tell: (event: RecordingEvent) => partition.handle(record('events', encodeEvent(event))) }
}

const session = factsOf('s1')

test('a burst of events makes one publication, and each record is done only after it', async () => {
  const { partition, tell, broker, done, statuses } = setUp()
  const { promise, resolve } = Promise.withResolvers<void>()
  broker.hold = promise
  void tell(session.created)
  await turn()
  for (let number = 1; number <= 50; number++) void tell(session.committed(number, { stored: [[0, number]] }))
  await turn()
  assert.deepEqual(done, [])
  resolve()
  await partition.close('shutdown')
  assert.deepEqual(statuses().map(({ eventsOffset }) => eventsOffset), ['0', '50'])
  assert.equal(done.length, 51)
})

test('events are published before the state that counts them as told', async () => {
  const { partition, tell, sent } = setUp()
  for (const event of [session.connected(), session.committed(1, { stored: [[0, 0], [2, 2]] })]) void tell(event)
  await partition.close('shutdown')
  assert.deepEqual(sent.map(({ topic, headers }) => [topic, headers?.kind]), [['events', 'gap-opened'], ['resends', 'resend-requested'], ['status', 'session-state']])
  assert.deepEqual(sent.map(({ partition: number, key }) => [number, key]), [[3, 's1'], [3, 's1'], [3, 's1']])
})

test('nothing is done while the broker refuses, and all of it once it takes it', async () => {
  const { partition, tell, broker, done, statuses } = setUp()
  broker.failure = new KafkaError('KAFKA_DELIVERY_TIMEOUT', 'no answer')
  void tell(session.whole(1))
  void tell(session.finished)
  while (partition.fault === undefined) await turn()
  assert.match(partition.fault, /no answer/)
  assert.deepEqual(done, [])
  broker.failure = undefined
  await partition.close('shutdown')
  assert.deepEqual(done, [0n, 1n])
  assert.deepEqual(statuses().map(({ status, version }) => [status, version]), [['complete', 1]])
  assert.equal(partition.fault, undefined)
})

test('a partition that is lost ends without marking anything done', async () => {
  const { partition, tell, broker, done } = setUp()
  broker.failure = new KafkaError('KAFKA_DELIVERY_TIMEOUT', 'no answer')
  void tell(session.created)
  while (partition.fault === undefined) await turn()
  await partition.close('lost')
  assert.deepEqual(done, [])
})

test('a state too large for Kafka stops its own session only, and that is told until it fits again', async () => {
  const { partition, publisher, tell, broker, done } = setUp()
  broker.failure = new KafkaError('KAFKA_RECORD_TOO_LARGE', 'too large')
  void tell(session.created)
  while (done.length < 1) await turn()
  assert.deepEqual([...publisher.standingStill], ['s1'])
  broker.failure = undefined
  void tell(session.connected())
  await partition.close('shutdown')
  assert.deepEqual([done, publisher.standingStill.size], [[0n, 1n], 0])
})

test('its own events come back and make no publication', async () => {
  const { partition, tell, statuses } = setUp()
  for (const event of [session.whole(1), session.finished]) void tell(event)
  while (statuses().length === 0) await turn()
  void tell({ type: 'session-completed', session: 's1', at: session.deleted.at, version: 1, status: 'complete' })
  await partition.close('shutdown')
  assert.equal(statuses().length, 1)
})

test('events of kinds unknown are passed over, unreadable ones are parked, and what follows goes on', async () => {
  const { partition, record, tell, parked, done, statuses } = setUp()
  void partition.handle(record('events', { key: 's1', value: Buffer.from('{}'), headers: { kind: 'something-new' } }))
  void partition.handle(record('events', { key: 's1', value: Buffer.from('{'), headers: { kind: 'session-created' } }))
  void partition.handle(record('events', { key: 'another', value: encodeEvent(session.created).value, headers: { kind: 'session-created' } }))
  void tell(session.created)
  await partition.close('shutdown')
  assert.deepEqual(parked, ['1 not-json', '2 invalid'])
  assert.deepEqual(done, [0n, 1n, 2n, 3n])
  assert.equal(statuses().length, 1)
})

test('an event with an offset that is none is parked, and does not spoil what follows', async () => {
  const { partition, tell, parked, done, statuses } = setUp()
  void tell(session.whole(1))
  void tell({ ...session.finished, offset: 'not a number' })
  void tell(session.finished)
  await partition.close('shutdown')
  assert.deepEqual(parked, ['1 invalid'])
  assert.deepEqual(done, [0n, 1n, 2n])
  assert.equal(statuses().at(-1)!.status, 'complete')
})

test('an older state written by a replaced owner is put right, a newer one is taken over', async () => {
  const { partition, record, tell, statuses } = setUp()
  for (const event of [session.created, session.whole(1)]) void tell(event)
  while (statuses().length === 0) await turn()
  const [mine] = statuses()
  const foreign = (state: SessionState): KafkaRecord => record('status', { ...encodeStatus(state), headers: { kind: 'session-state', writer: 'other' } })
  void partition.handle(foreign({ ...mine!, eventsOffset: '0', revision: 7, tracks: {} }))
  while (statuses().length === 1) await turn()
  assert.deepEqual({ ...statuses()[1]!, revision: 0 }, { ...mine!, revision: 0 })
  void partition.handle(foreign({ ...mine!, eventsOffset: '90', finalizedVersion: 4 }))
  void tell(session.connected())
  await partition.close('shutdown')
  assert.equal(statuses().length, 2, 'the event lies below the offset that was folded in there')
})

test('a version that a replaced owner published with another content is not published twice', async () => {
  const { partition, record, tell, statuses } = setUp()
  for (const event of [session.created, session.whole(1), session.finished]) void tell(event)
  while (statuses().at(-1)?.version !== 1) await turn()
  const mine = statuses().at(-1)!
  const count = statuses().length
  // It knew less and called it version 1, too: that may be sealed by now.
  const theirs = { ...mine, eventsOffset: '0', status: 'complete-with-gaps' as const, tracks: {} }
  void partition.handle(record('status', { ...encodeStatus(theirs), headers: { kind: 'session-state', writer: 'other' } }))
  while (statuses().length === count) await turn()
  assert.deepEqual([statuses().at(-1)!.version, statuses().at(-1)!.status], [2, 'complete'])
  // The same under the same version is no other version.
  void partition.handle(record('status', { ...encodeStatus({ ...statuses().at(-1)!, eventsOffset: '0' }), headers: { kind: 'session-state', writer: 'other' } }))
  await partition.close('shutdown')
  assert.equal(statuses().at(-1)!.version, 2)
})

test('a version that a replaced owner has used up is not used again, whether that one knew less or more of the events', async () => {
  for (const { eventsOffset, used, next } of [{ eventsOffset: '0', used: 2, next: 3 }, { eventsOffset: '0', used: 1, next: 2 }, { eventsOffset: '90', used: 0, next: 2 }]) {
    const { partition, record, tell, statuses } = setUp()
    for (const event of [session.created, session.whole(1), session.finished]) void tell(event)
    while (statuses().at(-1)?.version !== 1) await turn()
    const mine = statuses().at(-1)!
    const theirs: SessionState = { ...mine, eventsOffset, revision: 9, version: used, ...(used === 0 ? { status: 'recording', endedAt: null } : {}) }
    void partition.handle(record('status', { ...encodeStatus(theirs), headers: { kind: 'session-state', writer: 'other' } }))
    // More comes, under offsets that are new to both.
    for (let events = 0; events < 95; events++) void tell(session.connected())
    void tell(session.disconnected)
    void tell(session.whole(2, 6))
    await partition.close('shutdown')
    assert.deepEqual([statuses().at(-1)!.status, statuses().at(-1)!.version], ['complete', next], `theirs was version ${used}`)
    assert.ok(!statuses().some(({ version, tracks }) => version === used && tracks.webcam!.files[0]!.parts[0]!.chunks === 6))
  }
})

test('the state of a deleted session goes when nothing else of it is left, and does not come back', async () => {
  const DAY = 86_400_000
  const sessions = new Sessions(DAY)
  const { partition, record, tell, sent, statuses } = setUp({ sessions })
  const at = new Date(Date.now() - 2 * DAY).toISOString()
  void tell(session.created)
  void tell({ type: 'session-deleted', session: 's1', at })
  while (statuses().length === 0) await turn()
  assert.equal(statuses().at(-1)!.deletion?.expiredAt, undefined, 'blobs may be left')
  void tell({ type: 'session-erased', session: 's1', at })
  while (statuses().at(-1)?.deletion?.expiredAt === undefined) await turn()
  void tell({ type: 'session-forgotten', session: 's1', at: new Date().toISOString() })
  const tombstone = () => sent.find(({ topic, value }) => topic === 'status' && value === null)
  while (tombstone() === undefined) await turn()
  assert.deepEqual([tombstone()!.key, sessions.size, sessions.statuses.get('deleted')], ['s1', 0, 0])
  // As after a crash in between.
  const count = sent.length
  void tell({ type: 'session-forgotten', session: 's1', at: new Date().toISOString() })
  await partition.close('shutdown')
  assert.deepEqual([sent.length, sessions.size], [count, 0])
  sessions.restore(statuses().at(-1)!)
  sessions.remove(record('status', { key: 's1', value: Buffer.alloc(0), headers: {} }).key)
  assert.equal(sessions.size, 0)
})

test('the end of an earlier deletion, delivered again, leaves the status of a session that was deleted anew', async () => {
  const DAY = 86_400_000
  const sessions = new Sessions(DAY)
  const { partition, tell, sent, statuses } = setUp({ sessions })
  const at = (days: number): string => new Date(Date.now() + days * DAY).toISOString()
  const isTombstone = ({ topic, value }: (typeof sent)[number]): boolean => topic === 'status' && value === null
  const forgotten = { type: 'session-forgotten', session: 's1', at: at(-3), deletedAt: at(-5) } as const
  void tell(session.created)
  void tell({ type: 'session-deleted', session: 's1', at: at(0) })
  while (statuses().length === 0) await turn()
  // Blobs are left, as under a legal hold.
  void tell(forgotten)
  void tell({ type: 'session-forgotten', session: 's1', at: at(-3) })
  void tell({ type: 'session-erased', session: 's1', at: at(-2) })
  await partition.close('shutdown')
  assert.deepEqual([sent.filter(isTombstone), statuses().at(-1)!.status, sessions.size], [[], 'deleted', 1])
})

test('what others wrote before the load, and its own, is no surprise', async () => {
  const sessions = new Sessions()
  const { partition, record, tell, statuses } = setUp({ sessions, loadedTo: 2n })
  void tell(session.created)
  while (statuses().length === 0) await turn()
  const [mine] = statuses()
  for (const writer of ['other', 'me', 'me']) void partition.handle(record('status', { ...encodeStatus({ ...mine!, eventsOffset: '0', revision: 0 }), headers: { kind: 'session-state', writer } }))
  await partition.close('shutdown')
  assert.equal(statuses().length, 1)
})

test('an older state that ended up last in the log is put right at the load', async () => {
  const first = setUp()
  for (const event of [session.created, session.whole(1)]) void first.tell(event)
  await first.partition.close('shutdown')
  const [state] = first.statuses()
  const sessions = new Sessions()
  sessions.restore(state!)
  sessions.restore({ ...state!, eventsOffset: '0', tracks: {} })
  const second = setUp({ sessions, loadedTo: 2n })
  await second.partition.close('shutdown')
  assert.deepEqual(second.statuses().map(({ tracks }) => tracks), [state!.tracks])
})

test('time alone interrupts a session whose client fell silent', async () => {
  const { partition, tell, statuses } = setUp()
  const late = factsOf('s2', Date.now() - 149_800)
  for (const event of [late.created, late.connected(), late.committed(1, { stored: [[0, 1]] })]) void tell(event)
  while (statuses().at(-1)?.status !== 'interrupted') {
    partition.tick()
    await turn()
  }
  const [before, after] = statuses()
  assert.equal(before!.status, 'recording')
  assert.equal(after!.eventsOffset, before!.eventsOffset)
  assert.equal(after!.revision, before!.revision + 1)
  await partition.close('shutdown')
})

test('the consumer waits when more comes than can be published', async () => {
  const { partition, tell, broker } = setUp()
  const { promise, resolve } = Promise.withResolvers<void>()
  broker.hold = promise
  void tell(session.created)
  await turn()
  let waits: Promise<void> | void = undefined
  for (let number = 1; waits === undefined; number++) waits = tell(session.committed(number, { stored: [[0, number]] }))
  resolve()
  await waits
  await partition.close('shutdown')
})

test('a session is abandoned only once block-writer has come to where its chunks end, and what it told is folded', async () => {
  const { partition, tell, sent, statuses } = setUp()
  const late = factsOf('s2', Date.now() - 2 * 86_400_000)
  for (const event of [late.created, late.committed(1, { stored: [[0, 1], [4, 5]] })]) void tell(event)
  while (!partition.isUndecided) {
    partition.tick()
    await turn()
  }
  assert.equal(statuses().at(-1)!.status, 'interrupted')
  const at = Date.now()
  partition.saw({ at, chunksEnd: 6n, written: 2n, eventsEnd: 2n })
  partition.saw({ at, chunksEnd: 6n, written: 6n, eventsEnd: 3n })
  void tell(late.committed(2, { stored: [[0, 2], [4, 5]] }))
  while (partition.isUndecided) {
    partition.tick()
    await turn()
  }
  const state = statuses().at(-1)!
  assert.deepEqual([state.status, state.version, state.gaps.map(({ from, to, cause }) => [from, to, cause])], ['abandoned', 1, [[3, 3, 'abandoned']]])
  assert.deepEqual(sent.filter(({ headers }) => headers?.kind === 'session-completed').length, 1)
  await partition.close('shutdown')
})

test('until the events that waited at the start are folded, time is theirs: who spoke meanwhile is not gone', async () => {
  const start = Date.now() - 600_000
  const live = factsOf('s3', start)
  const before = setUp()
  for (const event of [live.created, live.connected(), live.committed(1, { stored: [[0, 1], [4, 4]] })]) void before.tell(event)
  await before.partition.close('shutdown')
  const sessions = new Sessions()
  sessions.restore(before.statuses().at(-1)!)
  const { partition, sent, record, statuses } = setUp({ sessions, loadedAt: start + 100, eventsEnd: 5n })
  const told = (offset: bigint, at: number, event: RecordingEvent): void => void partition.handle({ ...record('events', encodeEvent(event)), offset, timestamp: at })
  partition.tick()
  await turn()
  told(3n, start + 1000, { type: 'session-finished', session: 's3', at: new Date(start + 1000).toISOString(), parts: null, offset: '9' })
  await turn()
  told(4n, Date.now(), live.connected(Date.now()))
  await partition.close('shutdown')
  assert.ok(statuses().length > 1)
  assert.deepEqual(statuses().filter(({ status, version }) => status !== 'recording' || version !== 0), [])
  assert.deepEqual(sent.filter(({ headers }) => headers?.kind === 'gap-confirmed'), [])
})

test('commits of a session of many parts are published together, and done only then', async () => {
  const { partition, tell, done, statuses, record } = setUp()
  void tell(session.connected())
  void tell(manyParts(session, 1, 60))
  while (done.length < 2) await turn()
  assert.equal(statuses().length, 1)
  for (const number of [2, 3]) await tell(manyParts(session, number, 60 + number))
  partition.tick()
  for (let i = 0; i < 20; i++) await turn()
  assert.deepEqual([statuses().length, done.length], [1, 2], 'they wait')
  await partition.handle(record('events', encodeEvent({ type: 'client-disconnected', session: 's1', at: new Date().toISOString(), client, gateway: 'g1', connection: 'k1', code: 1001 })))
  while (done.length < 5) await turn()
  assert.deepEqual(statuses().map(({ eventsOffset }) => eventsOffset), ['1', '4'], 'who leaves is published at once')
  await tell(manyParts(session, 4, 64))
  await partition.close('shutdown')
  assert.deepEqual(statuses().at(-1)!.eventsOffset, '5')
  assert.deepEqual(done, [0n, 1n, 2n, 3n, 4n, 5n])
})
