import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createProducer, ensureTopics, readPartitionToEnd, readTable, startConsumer, type AssignedPartition, type KafkaConfig, type KafkaRecord } from '@longtake/kafka'
import { Conditions } from '@longtake/testkit'
import { startKafka } from '../local/kafka.ts'

const PARTITIONS = 6
const SENDERS = 20
const TOPIC = 'recordings.chunks'

test('a broker killed with -9 and started again under load: what was acknowledged is there, in order, and is consumed', { timeout: 240_000 }, async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-clients-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const broker = await startKafka({ dataDir, logFile: join(dataDir, 'kafka.log') })
  t.after(() => broker.stop())
  const kafka: KafkaConfig = { brokers: [broker.brokers], clientId: 'test' }
  await ensureTopics(kafka, { partitions: PARTITIONS, replicationFactor: 1 })

  const conditions = new Conditions()
  const state = { acknowledged: new Map<string, bigint>(), consumed: new Map<string, bigint>(), tabled: new Set<string>(), faults: [] as Error[], closes: [] as string[] }
  const until = (what: string, holds: () => boolean) => conditions.until(what, holds, 60_000, () => `acknowledged ${state.acknowledged.size}, consumed ${state.consumed.size}, faults ${state.faults.join()}`)
  const onFatal = (error: Error) => void state.faults.push(error)
  await using consumer = await startConsumer({
    kafka,
    group: 'longtake.test',
    topics: [TOPIC, 'recordings.events'],
    sessionTimeoutMs: 10_000,
    commitIntervalMs: 200,
    onFatal,
    assign: (partition: AssignedPartition) => ({
      handle: (record: KafkaRecord) => {
        state.consumed.set(record.value.toString(), record.offset)
        partition.done(record)
        conditions.changed()
      },
      close: (reason) => void state.closes.push(reason),
    }),
  })
  await using table = readTable({ kafka, topic: TOPIC, onFatal, onRecord: ({ value }) => void state.tabled.add(value.toString()) })
  await using producer = createProducer({ kafka })
  await table.caughtUp

  const enough = new AbortController()
  const sender = async (name: number): Promise<void> => {
    for (let count = 0; !enough.signal.aborted; count += 1) {
      const value = `${name}-${count}`
      const { offset } = await producer.send({ topic: TOPIC, partition: name % PARTITIONS, key: String(name), value: Buffer.from(value) })
      state.acknowledged.set(value, offset)
      conditions.changed()
    }
  }
  const senders = Array.from({ length: SENDERS }, (_, name) => sender(name))
  const generations = consumer.generations
  for (let round = 0; round < 3; round += 1) {
    const before = state.acknowledged.size
    await until('load', () => state.acknowledged.size > before + 300)
    broker.kill()
    const atKill = state.acknowledged.size
    await broker.restart()
    await until('acknowledgements after the restart', () => state.acknowledged.size > atKill + 300)
  }
  enough.abort()
  await Promise.all(senders)
  await until('all to be consumed', () => [...state.acknowledged.keys()].every((value) => state.consumed.has(value)))
  for (let partition = 0; partition < PARTITIONS; partition += 1) await table.waitFor(partition)
  assert.ok([...state.acknowledged.keys()].every((value) => state.tabled.has(value)))

  // Membership outlives the broker: nothing was lost or dealt anew.
  assert.deepEqual({ faults: state.faults, closes: state.closes, generations: consumer.generations }, { faults: [], closes: [], generations })
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const log: string[] = []
    await readPartitionToEnd({ kafka, topic: TOPIC, partition, onRecord: ({ value, offset }) => void (log[Number(offset)] = value.toString()) })
    const next = new Map<string, number>()
    for (const value of log) {
      const [name = '', count = ''] = value.split('-')
      const expected = next.get(name) ?? 0
      // A retry may repeat a record; none may come before the one sent ahead of it.
      assert.ok(Number(count) <= expected, `${value} stands before ${name}-${expected}`)
      next.set(name, Math.max(expected, Number(count) + 1))
    }
    for (const [value, offset] of state.acknowledged) if (Number(value.split('-')[0]) % PARTITIONS === partition) assert.equal(log[Number(offset)], value)
  }
  t.diagnostic(`${state.acknowledged.size} records acknowledged through three kills`)
})

test('clients that start before their broker wait for it', { timeout: 120_000 }, async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-clients-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const broker = await startKafka({ dataDir, logFile: join(dataDir, 'kafka.log') })
  t.after(() => broker.stop())
  const kafka: KafkaConfig = { brokers: [broker.brokers], clientId: 'test' }
  await ensureTopics(kafka, { partitions: 1, replicationFactor: 1 })
  broker.kill()
  await broker.child.exited

  const received = Promise.withResolvers<string>()
  await using producer = createProducer({ kafka })
  const sent = producer.send({ topic: TOPIC, partition: 0, key: 'k', value: Buffer.from('early') })
  const starting = startConsumer({
    kafka,
    group: 'longtake.test',
    topics: [TOPIC],
    onFatal: received.reject,
    signal: t.signal,
    assign: (partition) => ({
      handle: (record) => {
        partition.done(record)
        received.resolve(record.value.toString())
      },
      close: () => {},
    }),
  })
  await assert.rejects(ensureTopics(kafka, { partitions: 1, replicationFactor: 1 }), { name: 'KafkaError', retryable: true })
  await broker.restart()
  await sent
  await using _consumer = await starting
  assert.equal(await received.promise, 'early')
})
