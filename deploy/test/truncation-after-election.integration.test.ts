import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createProducer, startConsumer, type AssignedPartition } from '@longtake/kafka'
import { Conditions } from '@longtake/testkit'
import { startKafka } from '../local/kafka.ts'

const kafkajs = createRequire(import.meta.url)('kafkajs') as typeof import('kafkajs')

const TOPIC = 'log'
const RECORDS = 10

test('a paused partition whose next leader lacks what was read keeps the records that nobody has read', { timeout: 120_000 }, async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-election-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const broker = await startKafka({ dataDir, logFile: join(dataDir, 'kafka.log') })
  t.after(() => broker.stop())
  const kafka = { brokers: [broker.brokers], clientId: 'test' }
  const admin = new kafkajs.Kafka({ brokers: kafka.brokers, logLevel: kafkajs.logLevel.NOTHING }).admin()
  await admin.connect()
  t.after(() => admin.disconnect())
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 1, replicationFactor: 1 }] })
  const fill = async (): Promise<void> => {
    await using producer = createProducer({ kafka })
    const send = () => producer.send({ topic: TOPIC, partition: 0, key: 's', value: Buffer.from('v') })
    await Promise.all(Array.from({ length: RECORDS }, send))
  }
  const start = async (): Promise<number> => Number((await admin.fetchTopicOffsets(TOPIC))[0]!.low)

  const conditions = new Conditions()
  let held: AssignedPartition | undefined
  let handled = 0
  await fill()
  await using consumer = await startConsumer({
    kafka,
    group: 'test',
    topics: [TOPIC],
    sessionTimeoutMs: 60_000,
    truncate: { behindMs: 5000, everyMs: 50 },
    onFatal: (error) => assert.fail(error),
    assign: (partition) => {
      held = partition
      return {
        handle: (record) => {
          partition.done(record)
          handled += 1
          conditions.changed()
        },
        close: () => conditions.changed(),
      }
    },
  })
  await conditions.until('all records', () => handled === RECORDS, 30_000, () => `handled ${handled}`)
  held!.pause()
  await consumer.commit()

  // What an unclean election leaves behind: a leader of a later epoch, without the records that its predecessor had.
  broker.kill()
  await broker.child.exited
  rmSync(join(dataDir, 'log', `${TOPIC}-0`), { recursive: true })
  await broker.restart()
  await fill()
  // All is due by now, and truncation goes on at once once the leader is known again.
  await delay(8000)
  assert.deepEqual([await start(), handled], [0, RECORDS], 'nothing is deleted unread')

  held!.resume()
  const isStopped = () => !consumer.check().ready
  for (const deadline = Date.now() + 30_000; !isStopped() && Date.now() < deadline; ) await delay(50)
  assert.match(JSON.stringify(consumer.check()), /was read up to 10 in epoch \d+, but its leader/)
  assert.deepEqual([await start(), handled], [0, RECORDS])
})
