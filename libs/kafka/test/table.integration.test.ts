import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Conditions } from '@longtake/testkit'
import { createProducer, readPartitionToEnd, readRange, readTable, type KafkaError } from '../src/index.ts'
import { kafka, makeTopics, unexpected, unique, withAdmin } from './support.ts'

/** A table as services keep it: the latest value of each key. */
function tableOf(topic: string, more: { partitions?: number[]; from?: 'latest' } = {}) {
  const rows = new Map<string, string>()
  const conditions = new Conditions()
  const reader = readTable({
    kafka: { ...kafka(), clientId: topic },
    topic,
    ...more,
    onFatal: unexpected,
    onRecord: ({ key, value, tombstone }) => {
      if (tombstone) rows.delete(key)
      else rows.set(key, value.toString())
      conditions.changed()
    },
  })
  return { rows, reader, until: (what: string, holds: () => boolean) => conditions.until(what, holds, 20_000, () => JSON.stringify([...rows])) }
}

test('a table is whole when it has caught up, and follows from there; its reader leaves no group behind', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['table'], 3, { 'cleanup.policy': 'compact' })
  await using producer = createProducer({ kafka: kafka() })
  const put = (key: number, value: string | null) => producer.send({ topic, partition: key % 3, key: String(key), value: value === null ? null : Buffer.from(value) })
  await Promise.all([1, 2, 3, 4, 5, 6].map((key) => put(key, 'first')))
  await Promise.all([put(2, 'second'), put(3, null)])
  const { rows, reader } = tableOf(topic)
  await reader.caughtUp
  assert.deepEqual([...rows].toSorted(([a], [b]) => Number(a) - Number(b)), [['1', 'first'], ['2', 'second'], ['4', 'first'], ['5', 'first'], ['6', 'first']])
  assert.deepEqual(reader.check(), { ready: true })

  // Read your writes: what was acknowledged before waitFor is in the table after it.
  for (let round = 0; round < 30; round += 1) {
    const { offset } = await put(round % 5, `round ${round}`)
    await (round % 2 === 0 ? reader.waitFor((round % 5) % 3) : reader.waitFor((round % 5) % 3, offset))
    assert.equal(rows.get(String(round % 5)), `round ${round}`)
  }
  // A group of this reader would show its member's client id.
  const members = await withAdmin(kafka(), async (admin) => {
    const { groups } = await admin.listGroups()
    return (await admin.describeGroups(groups.map(({ groupId }) => groupId))).groups.flatMap((group) => group.members)
  })
  assert.deepEqual(members.filter(({ clientId }) => clientId === topic), [])
  await reader.close()
  await assert.rejects(reader.waitFor(0, 1_000_000n), { code: 'KAFKA_CLOSED' })
})

test('every reader from the latest hears every announcement, and nothing older', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['news'], 2)
  await using producer = createProducer({ kafka: kafka() })
  const send = (partition: number, key: string) => producer.send({ topic, partition, key, value: Buffer.from(key) })
  await send(0, 'old')
  const tables = [tableOf(topic, { from: 'latest' }), tableOf(topic, { from: 'latest' })]
  await Promise.all(tables.map(({ reader }) => reader.caughtUp))
  await Promise.all([send(0, 'a'), send(1, 'b')])
  for (const { rows, until, reader } of tables) {
    await until('both', () => rows.size === 2)
    assert.deepEqual([...rows.keys()].toSorted(), ['a', 'b'])
    await reader.close()
  }
})

test('one partition is read to its end and no other', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['end'], 2)
  await using producer = createProducer({ kafka: kafka() })
  await Promise.all(Array.from({ length: 300 }, (_, index) => producer.send({ topic, partition: index % 2, key: 'k', value: Buffer.alloc(20_000, index) })))
  const seen: bigint[] = []
  await readPartitionToEnd({ kafka: kafka(), topic, partition: 1, onRecord: ({ partition, offset }) => void (partition === 1 && seen.push(offset)) })
  assert.deepEqual(seen, Array.from({ length: 150 }, (_, index) => BigInt(index)))
  const range: bigint[] = []
  const onRecord = ({ offset }: { offset: bigint }): void => void range.push(offset)
  assert.equal(await readRange({ kafka: kafka(), topic, partition: 1, from: 17n, to: 123n, onRecord }), 17n)
  assert.deepEqual(range, Array.from({ length: 123 - 17 }, (_, index) => BigInt(17 + index)))
  const [empty = ''] = await makeTopics(kafka(), ['empty'], 1)
  await readPartitionToEnd({ kafka: kafka(), topic: empty, partition: 0, onRecord: unexpected as never })
})

test('a reader that is aborted, or whose topic never comes, ends with an error', async () => {
  const reading = readPartitionToEnd({ kafka: kafka(), topic: unique('never'), partition: 0, onRecord: () => {}, signal: AbortSignal.timeout(300) })
  await assert.rejects(reading, { code: 'KAFKA_CLOSED' })
})

test('an error in onRecord is fatal and said, never skipped', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['throwing'], 1)
  await using producer = createProducer({ kafka: kafka() })
  await Promise.all([1, 2, 3].map((key) => producer.send({ topic, partition: 0, key: String(key), value: Buffer.from('v') })))
  const faults: KafkaError[] = []
  const seen: string[] = []
  await using reader = readTable({
    kafka: kafka(),
    topic,
    onFatal: (fault) => faults.push(fault),
    onRecord: ({ key }) => {
      seen.push(key)
      if (key === '2') throw new Error('bad row')
    },
  })
  await assert.rejects(reader.caughtUp, { code: 'KAFKA_REFUSED' })
  assert.deepEqual(seen, ['1', '2'])
  assert.match(faults[0]?.message ?? '', /offset 1/)
  assert.equal(reader.check().ready, false)
})

test('a table is whole although compaction has made holes in its topic', { timeout: 120_000 }, async () => {
  // Small segments, cleaned at once; the broker's cleaner comes by every 15 s.
  const [topic = ''] = await makeTopics(kafka(), ['emptied'], 1, { 'cleanup.policy': 'compact', 'segment.ms': '200', 'min.cleanable.dirty.ratio': '0', 'delete.retention.ms': '0', 'max.compaction.lag.ms': '1' })
  await using producer = createProducer({ kafka: kafka() })
  const put = (key: string, value: string | null) => producer.send({ topic, partition: 0, key, value: value === null ? null : Buffer.from(value) })
  const first = async (): Promise<bigint | undefined> => {
    const offsets: bigint[] = []
    await readPartitionToEnd({ kafka: kafka(), topic, partition: 0, onRecord: ({ offset }) => void offsets.push(offset) })
    return offsets[0]
  }
  await put('a', '1')
  const ended = Date.now() + 90_000
  for (let round = 0; (await first()) === 0n; round += 1) {
    assert.ok(Date.now() < ended, 'the broker did not clean the log')
    await put('a', String(round))
  }
  const { rows, reader } = tableOf(topic)
  await reader.caughtUp
  assert.ok(rows.has('a'))
  await put('b', 'last')
  await reader.waitFor(0)
  assert.equal(rows.get('b'), 'last')
  await reader.close()
})
