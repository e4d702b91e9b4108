import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { startKafka } from '../local/kafka.ts'

test('Kafka keeps its address and its records over kill -9 and an orderly restart', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-kafka-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const kafka = await startKafka({ dataDir, logFile: join(dataDir, 'kafka.log') })
  t.after(() => kafka.stop())
  const client = new kafkajs.Kafka({ brokers: [kafka.brokers], logLevel: kafkajs.logLevel.NOTHING })
  const admin = client.admin()
  const producer = client.producer()
  t.after(() => Promise.all([admin.disconnect(), producer.disconnect()]))
  await Promise.all([admin.connect(), producer.connect()])
  await admin.createTopics({ topics: [{ topic: 'kept', numPartitions: 1 }], waitForLeaders: true })

  const send = (value: string): Promise<unknown> => producer.send({ topic: 'kept', acks: -1, messages: [{ value }] })
  await send('before')
  kafka.kill()
  await kafka.restart()
  await send('after a kill')
  await kafka.restart()
  await send('after a restart')
  assert.equal((await admin.fetchTopicOffsets('kept'))[0]?.high, '3')
})
