import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createProducer, ensureTopics, readPartitionToEnd, readTable } from '@longtake/kafka'
import { Conditions } from '@longtake/testkit'
import { TcpLine } from '../e2e/tcp-line.ts'
import { startKafka } from '../local/kafka.ts'
import { freePort } from '../local/ports.ts'

const PARTITIONS = 3
const ROUNDS = 4
const TOPIC = 'recordings.events'

test('batches whose answers are lost with their connection are in the log once, in order', { timeout: 120_000 }, async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-idempotence-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const port = await freePort()
  await using line = await TcpLine.to(port)
  const kafka = await startKafka({ dataDir, logFile: join(dataDir, 'kafka.log'), proxied: [{ port, advertisedPort: line.port }] })
  t.after(() => kafka.stop())
  const direct = { brokers: [kafka.brokers], clientId: 'test' }
  await ensureTopics(direct, { partitions: PARTITIONS, replicationFactor: 1 })

  const conditions = new Conditions()
  const faults: Error[] = []
  const acknowledged = new Map<string, { partition: number; offset: bigint }>()
  let written = 0
  // By its own connection: sees what the broker has, whatever the producer hears of it.
  await using log = readTable({
    kafka: direct,
    topic: TOPIC,
    onFatal: (error) => void faults.push(error),
    onRecord: () => {
      written += 1
      conditions.changed()
    },
  })
  await log.caughtUp
  const until = (what: string, holds: () => boolean) => conditions.until(what, holds, 60_000, () => `acknowledged ${acknowledged.size}, written ${written}, faults ${faults.join()}`)

  const closing = new AbortController()
  await using producer = createProducer({ kafka: { brokers: [`127.0.0.1:${line.port}`], clientId: 'test', requestTimeoutMs: 2000 } })
  const sender = async (name: number): Promise<void> => {
    for (let count = 0; !closing.signal.aborted; count += 1) {
      const [value, partition] = [`${name} ${count}`, name % PARTITIONS]
      const { offset } = await producer.send({ topic: TOPIC, partition, key: 's', value: Buffer.from(value) })
      acknowledged.set(value, { partition, offset })
      conditions.changed()
    }
  }
  const senders = Array.from({ length: 12 }, (_, name) => sender(name))
  let taken = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = acknowledged.size
    await until('load', () => acknowledged.size > before + 100)
    line.loseAnswers()
    await until('the broker to take what nobody hears of', () => written > acknowledged.size)
    taken += written - acknowledged.size
    line.cut()
    line.mend()
  }
  assert.ok(taken >= ROUNDS)
  closing.abort()
  await Promise.all(senders)

  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const values: string[] = []
    await readPartitionToEnd({ kafka: direct, topic: TOPIC, partition, onRecord: ({ value }) => void values.push(value.toString()) })
    assert.equal(new Set(values).size, values.length, 'a record is in the log twice')
    const expected = [...acknowledged].filter(([, where]) => where.partition === partition)
    assert.equal(values.length, expected.length)
    for (const [value, { offset }] of expected) assert.equal(values[Number(offset)], value)
    for (let name = partition; name < 12; name += PARTITIONS) {
      const counts = values.filter((value) => value.startsWith(`${name} `)).map((value) => Number(value.split(' ')[1]))
      assert.deepEqual(counts, counts.map((_, index) => index))
    }
  }
  assert.deepEqual(faults, [])
})
