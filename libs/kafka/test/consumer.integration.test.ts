import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { DEFAULT_PARTITIONS, TOPICS } from '@longtake/contracts'
import { createParker, createProducer, ensureTopics, PARKED_HEADERS, readPartitionToEnd, startConsumer, type KafkaRecord, type Producer } from '../src/index.ts'
import { committed, Journal, kafka, makeTopics, unexpected, unique, withAdmin } from './support.ts'

const quick = { sessionTimeoutMs: 3000, heartbeatMs: 200, commitIntervalMs: 100, closeTimeoutMs: 5000 }
const fill = (producer: Producer, topic: string, partition: number, values: string[]) => Promise.all(values.map((value) => producer.send({ topic, partition, key: 's', value: Buffer.from(value) })))
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => String(from + index))

test('equal partitions of all topics meet in one member, and move only after they were finished', async () => {
  const topics = await makeTopics(kafka(), ['chunks', 'events'], 6)
  const [chunks = '', events = ''] = topics
  await using producer = createProducer({ kafka: kafka() })
  const group = unique('group')
  const journal = new Journal()
  const start = (name: string) => startConsumer({ kafka: kafka(), group, topics, onFatal: unexpected, ...quick, ...journal.member(name) })
  await using first = await start('first')
  await journal.until('all in the first', () => journal.held('first').length === 6)
  const sending = Promise.all([0, 1, 2, 3, 4, 5].flatMap((partition) => topics.map((topic) => fill(producer, topic, partition, numbers(0, 200)))))
  await using second = await start('second')
  await journal.until('an even share', () => journal.held('first').length === 3 && journal.held('second').length === 3)
  await sending
  await fill(producer, chunks, 0, numbers(200, 210))
  await fill(producer, chunks, 5, numbers(200, 210))
  await journal.until('everything', () => journal.handled().length >= 6 * 2 * 200 + 20)
  await first.close()
  await journal.until('all in the second', () => journal.held('second').length === 6)
  await second.close()

  for (const partition of [0, 1, 2, 3, 4, 5]) {
    // Never two at a time: who takes over does so behind the other's close.
    let holder: string | undefined
    for (const entry of journal.entries.filter((seen) => seen.partition === partition)) {
      if (entry.what === 'assigned') {
        assert.equal(holder, undefined)
        holder = entry.member
      } else {
        assert.equal(entry.member, holder)
        if (entry.what === 'closed') holder = undefined
      }
    }
    // And since every hand-over was finished and committed, nothing comes twice either.
    for (const topic of topics) {
      const offsets = journal.handled().filter((entry) => entry.topic === topic && entry.partition === partition).map(({ offset }) => offset)
      assert.deepEqual(offsets, offsets.map((_, index) => BigInt(index)))
    }
  }
  // The first kept half of its partitions through the rebalance with their handlers.
  assert.equal(journal.entries.filter(({ what, member }) => what === 'assigned' && member === 'first').length, 6)
  assert.deepEqual(journal.entries.filter((entry) => entry.what === 'closed' && entry.reason === 'lost'), [])
  assert.equal((await committed(kafka(), group, events)).get(3), '200')
})

test('completed out of order, committed in order: another member begins at the first incomplete record', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['order'], 1)
  await using producer = createProducer({ kafka: kafka() })
  await fill(producer, topic, 0, numbers(0, 10))
  const group = unique('group')
  const journal = new Journal()
  const left = (record: KafkaRecord) => [4n, 7n].includes(record.offset)
  await using first = await startConsumer({ kafka: kafka(), group, topics: [topic], onFatal: unexpected, ...quick, ...journal.member('first', (record, partition) => void (left(record) || partition.done(record))) })
  await journal.until('all handled', () => journal.handled('first').length === 10)
  await first.close()
  assert.equal((await committed(kafka(), group, topic)).get(0), '4')
  await using second = await startConsumer({ kafka: kafka(), group, topics: [topic], onFatal: unexpected, ...quick, ...journal.member('second') })
  await journal.until('the rest again', () => journal.handled('second').length === 6)
  assert.equal(second.lag, 0)
  await second.close()
  assert.deepEqual(journal.handled('second').map(({ offset }) => offset), [4n, 5n, 6n, 7n, 8n, 9n])
  assert.equal((await committed(kafka(), group, topic)).get(0), '10')
})

test('a failing record is tried again, holds back only what is behind it, and never costs a record', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['failing'], 2)
  await using producer = createProducer({ kafka: kafka() })
  const group = unique('group')
  const journal = new Journal()
  let failures = 0
  await using consumer = await startConsumer({
    kafka: kafka(),
    group,
    topics: [topic],
    onFatal: unexpected,
    ...quick,
    ...journal.member('only', async (record, partition) => {
      // Fails until the other partition is through, which it can only be if it is not held up.
      if (record.partition === 0 && record.offset === 2n && journal.handled().filter((entry) => entry.partition === 1).length < 20) {
        failures += 1
        journal.changed()
        throw new Error('not yet')
      }
      partition.done(record)
    }),
  })
  await fill(producer, topic, 0, numbers(0, 5))
  await journal.until('a failure', () => failures > 0 || journal.handled().length > 2)
  await fill(producer, topic, 1, numbers(0, 20))
  await journal.until('everything', () => journal.handled().length === 25)
  await consumer.close()
  assert.ok(failures > 0)
  assert.deepEqual(journal.handled().filter(({ partition }) => partition === 0).map(({ value }) => value), numbers(0, 5))
  assert.equal((await committed(kafka(), group, topic)).get(0), '5')
})

test('work that takes longer than the session timeout keeps the membership, and other partitions go on', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['slow'], 2)
  await using producer = createProducer({ kafka: kafka() })
  const journal = new Journal()
  await using consumer = await startConsumer({
    kafka: kafka(),
    group: unique('group'),
    topics: [topic],
    onFatal: unexpected,
    ...quick,
    sessionTimeoutMs: 1000,
    ...journal.member('only', async (record, partition) => {
      if (record.partition === 0) await delay(3000)
      partition.done(record)
    }),
  })
  const { generations } = consumer
  await fill(producer, topic, 0, ['slow'])
  await fill(producer, topic, 1, ['fast'])
  await journal.until('both', () => journal.handled().length === 2)
  assert.deepEqual(journal.handled().map(({ value }) => value), ['fast', 'slow'])
  assert.equal(consumer.generations, generations)
  assert.deepEqual(consumer.check(), { ready: true })
})

test('a member that was expelled without noticing cannot commit, and learns from it that it holds nothing', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['fenced'], 1)
  await using producer = createProducer({ kafka: kafka() })
  await fill(producer, topic, 0, numbers(0, 10))
  const group = unique('group')
  const journal = new Journal()
  const held: (() => void)[] = []
  // Without heartbeats the group forgets it, while it goes on in good faith.
  await using zombie = await startConsumer({ kafka: kafka(), group, topics: [topic], onFatal: unexpected, ...quick, sessionTimeoutMs: 1000, heartbeatMs: 600_000, commitIntervalMs: 600_000, ...journal.member('zombie', (record, partition) => void held.push(() => partition.done(record))) })
  await journal.until('the zombie to have them', () => journal.handled('zombie').length === 10)
  await using heir = await startConsumer({ kafka: kafka(), group, topics: [topic], onFatal: unexpected, ...quick, ...journal.member('heir', (record, partition) => void (record.offset < 3n && partition.done(record))) })
  await journal.until('the heir to have them', () => journal.handled('heir').length === 10)
  await heir.commit()
  assert.equal((await committed(kafka(), group, topic)).get(0), '3')

  for (const done of held) done()
  await zombie.commit()
  assert.equal((await committed(kafka(), group, topic)).get(0), '3', 'Kafka refuses the commit of an older generation')
  await journal.until('the zombie to know', () => journal.entries.some((entry) => entry.member === 'zombie' && entry.what === 'closed' && entry.reason === 'lost'))
  await zombie.close()
  await heir.close()
  assert.equal((await committed(kafka(), group, topic)).get(0), '3')
})

test('a lost offset stops its partition with an alarm, never a silent reset', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['lost'], 2)
  await using producer = createProducer({ kafka: kafka() })
  const group = unique('group')
  const journal = new Journal()
  await using before = await startConsumer({ kafka: kafka(), group, topics: [topic], onFatal: unexpected, ...quick, ...journal.member('before') })
  await fill(producer, topic, 0, ['0', '1'])
  await journal.until('both', () => journal.handled().length === 2)
  await before.close()
  await fill(producer, topic, 0, ['2', '3', '4'])
  await withAdmin(kafka(), async (admin) => {
    // kafkajs deletes only in topics whose leaders it happens to know.
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] })
  })
  await fill(producer, topic, 1, ['other'])
  await using after = await startConsumer({ kafka: kafka(), group, topics: [topic], onFatal: unexpected, ...quick, ...journal.member('after') })
  await journal.until('the other partition', () => journal.handled('after').length === 1)
  while (after.check().ready) await delay(20)
  await journal.until('the end of the handler that gets nothing more', () => journal.held('after').join() === '1')
  assert.match(JSON.stringify(after.check()), /no longer holds offset 2/)
  // What is fatal ends a service: its other partitions must go on.
  await fill(producer, topic, 1, ['and more'])
  await journal.until('more of the other partition', () => journal.handled('after').length === 2)
  await after.close()
  assert.deepEqual(journal.handled('after').map(({ value }) => value), ['other', 'and more'])
  assert.equal((await committed(kafka(), group, topic)).get(0), '2')
})

test('a group without commits begins at the earliest, or at the latest, and the start is committed at once', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['from'], 1)
  await using producer = createProducer({ kafka: kafka() })
  await fill(producer, topic, 0, ['old'])
  const journal = new Journal()
  const late = unique('late')
  await using latest = await startConsumer({ kafka: kafka(), group: late, topics: [topic], from: 'latest', onFatal: unexpected, ...quick, ...journal.member('latest') })
  await journal.until('the assignment', () => journal.held('latest').length === 1)
  assert.equal((await committed(kafka(), late, topic)).get(0), '1')
  await latest.close()
  await fill(producer, topic, 0, ['between'])
  await using again = await startConsumer({ kafka: kafka(), group: late, topics: [topic], from: 'latest', onFatal: unexpected, ...quick, ...journal.member('again') })
  await using earliest = await startConsumer({ kafka: kafka(), group: unique('early'), topics: [topic], onFatal: unexpected, ...quick, ...journal.member('earliest') })
  await journal.until('all', () => journal.handled('again').length === 1 && journal.handled('earliest').length === 2)
  await Promise.all([again.close(), earliest.close()])
  assert.deepEqual(journal.handled('again').map(({ value }) => value), ['between'])
})

test('a group without commits that begins behind deleted records says so, one that begins at the first does not', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['expired'], 2)
  await using producer = createProducer({ kafka: kafka() })
  for (const partition of [0, 1]) await fill(producer, topic, partition, ['0', '1', '2'])
  await withAdmin(kafka(), async (admin) => {
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: '2' }] })
  })
  const warned: object[] = []
  const log = { debug() {}, info() {}, error() {}, warn: (fields: object) => void warned.push(fields) }
  const group = unique('expired')
  const journal = new Journal()
  await using consumer = await startConsumer({ kafka: { ...kafka(), log }, group, topics: [topic], onFatal: unexpected, ...quick, ...journal.member('member') })
  await journal.until('what is left', () => journal.handled().length === 4)
  await consumer.close()
  assert.deepEqual(warned, [{ group, topic, partition: 1, offset: '2' }])
})

test('members may come before their topics', async () => {
  const names = [unique('later'), unique('later')]
  const journal = new Journal()
  const starting = startConsumer({ kafka: kafka(), group: unique('group'), topics: names, onFatal: unexpected, ...quick, ...journal.member('early') })
  const other = startConsumer({ kafka: kafka(), group: unique('group'), topics: [unique('never')], onFatal: unexpected, ...quick, ...journal.member('never'), signal: AbortSignal.timeout(500) })
  await assert.rejects(other, { code: 'KAFKA_CLOSED' })
  await withAdmin(kafka(), (admin) => admin.createTopics({ topics: names.map((topic) => ({ topic, numPartitions: 2, replicationFactor: 1 })) }))
  await using consumer = await starting
  await journal.until('both partitions', () => journal.held('early').length === 2)
  await consumer.close()
})

test('topics with different partition counts are refused in clear words', async () => {
  const [two = ''] = await makeTopics(kafka(), ['two'], 2)
  const [three = ''] = await makeTopics(kafka(), ['three'], 3)
  await assert.rejects(startConsumer({ kafka: kafka(), group: unique('group'), topics: [two, three], onFatal: unexpected, ...quick, ...new Journal().member('x') }), {
    code: 'KAFKA_PARTITION_COUNTS',
    message: `topics that are read together need equal partition counts: ${two} has 2, ${three} has 3`,
  })
})

test('a paused partition hands nothing out until it is resumed; what was fetched stays in order', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['paused'], 1)
  await using producer = createProducer({ kafka: kafka() })
  const journal = new Journal()
  let resume = () => {}
  await using consumer = await startConsumer({
    kafka: kafka(),
    group: unique('group'),
    topics: [topic],
    onFatal: unexpected,
    ...quick,
    maxQueuedBytesPerPartition: 1000,
    ...journal.member('only', (record, partition) => {
      partition.done(record)
      if (record.offset !== 3n) return
      partition.pause()
      resume = () => partition.resume()
    }),
  })
  await fill(producer, topic, 0, numbers(0, 500).map((value) => value.padStart(20)))
  await journal.until('the pause', () => journal.handled().length >= 4)
  await consumer.commit()
  assert.equal(journal.handled().length, 4)
  resume()
  await journal.until('everything', () => journal.handled().length === 500)
  await consumer.close()
  assert.deepEqual(journal.handled().map(({ value }) => Number(value)), numbers(0, 500).map(Number))
})

test('parking keeps the record as it is, with the reason, before it is done', async () => {
  // The one topic with a fixed name; other tests may have made it.
  await ensureTopics(kafka(), { partitions: DEFAULT_PARTITIONS, replicationFactor: 1 }, [TOPICS.parked])
  const [topic = ''] = await makeTopics(kafka(), ['bad'], 1)
  await using producer = createProducer({ kafka: kafka() })
  const parker = createParker({ producer, group: 'writers' })
  const journal = new Journal()
  const group = unique('group')
  await using consumer = await startConsumer({
    kafka: kafka(),
    group,
    topics: [topic],
    onFatal: unexpected,
    ...quick,
    ...journal.member('only', async (record, partition) => {
      await parker.park(record, { reason: 'not-json', details: 'the value is not JSON' })
      partition.done(record)
    }),
  })
  await producer.send({ topic, partition: 0, key: 'session-1', value: Buffer.from([0, 255, 1]), headers: { kind: 'x' }, timestamp: 1_700_000_000_000 })
  await journal.until('it', () => journal.handled().length === 1)
  await consumer.close()
  assert.equal((await committed(kafka(), group, topic)).get(0), '1')
  const parked: KafkaRecord[] = []
  await readPartitionToEnd({ kafka: kafka(), topic: 'recordings.parked', partition: 0, onRecord: (record) => void (record.headers[PARKED_HEADERS.topic] === topic && parked.push(record)) })
  assert.equal(parked.length, 1)
  const { key, value, headers, timestamp } = parked[0]!
  const { [PARKED_HEADERS.at]: at = '', ...rest } = headers
  assert.ok(!Number.isNaN(Date.parse(at)))
  assert.deepEqual({ key, value: [...value], headers: rest, timestamp }, {
    key: 'session-1',
    value: [0, 255, 1],
    headers: { kind: 'x', 'parked-reason': 'not-json', 'parked-details': 'the value is not JSON', 'parked-group': 'writers', 'parked-topic': topic, 'parked-partition': '0', 'parked-offset': '0' },
    timestamp: 1_700_000_000_000,
  })
})
