import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { DEFAULT_PARTITIONS, encodeChunkRecord, partitionOf, TOPICS, type EncodedRecord } from '@longtake/contracts'
import { createParker, createProducer, ensureTopics, readPartitionToEnd, type KafkaConfig, type KafkaRecord } from '@longtake/kafka'
import { testKafka } from '@longtake/testkit'
import { readCommand } from '../parked/arguments.ts'
import { select } from '../parked/backlog.ts'
import { parked } from '../parked/parked.ts'
import { readBacklog, replay } from '../parked/replay.ts'

const kafka = (): KafkaConfig => ({ brokers: [testKafka()], clientId: 'test-parked' })

test('parked records are listed, sent back as they were, and never a second time, whatever dies in between', async () => {
  await ensureTopics(kafka(), { partitions: DEFAULT_PARTITIONS, replicationFactor: 1 }, [TOPICS.parked, TOPICS.unwritable, TOPICS.status])
  const id = randomUUID().slice(0, 8)
  const [topic, session] = [`test.${id}.chunks`, `parked-${id}`]
  await ensureTopics(kafka(), { partitions: DEFAULT_PARTITIONS, replicationFactor: 1 }, [{ ...TOPICS.chunks, name: topic }])
  const partition = partitionOf(session, DEFAULT_PARTITIONS)
  await using producer = createProducer({ kafka: kafka() })
  const recordsOf = async (name: string): Promise<KafkaRecord[]> => {
    const found: KafkaRecord[] = []
    await readPartitionToEnd({ kafka: kafka(), topic: name, partition, onRecord: (record) => void (record.key === session && found.push(record)) })
    return found
  }
  const run = async (...args: string[]): Promise<string> => parked(readCommand([...args, '--session', session]), kafka())
  const chosen = async () => select((await readBacklog(kafka())).waiting, { session, positions: [] })

  const parker = createParker({ producer, group: 'longtake.block-writer' })
  const originals = [0, 1, 2].map((seq) => encodeChunkRecord({ session, track: 'webcam', part: randomUUID(), client: randomUUID(), seq, sha256: '0f'.repeat(32), capturedAt: 1, payload: Buffer.from([seq, 0, 255]) }))
  for (const [offset, original] of originals.entries()) {
    const record = { topic, partition, offset: BigInt(offset), tombstone: false, timestamp: 1_700_000_000_000, ...original, value: Buffer.from(original.value) }
    await parker.park(record, { reason: offset === 2 ? 'unwritable' : 'other-content', details: 'as the test wants it' })
  }
  assert.match(await run(), /other-content +2 +1 +6 B/)

  assert.match(await run('replay', '--dry-run'), /3 records, 9 B, would be sent back/)
  assert.deepEqual(await recordsOf(topic), [])

  // It dies between the second record and its mark.
  let sends = 0
  const dying = {
    send: async (record: Parameters<typeof producer.send>[0]) => {
      if (++sends === 4) throw new Error('killed')
      return producer.send(record)
    },
  }
  await assert.rejects(replay(kafka(), dying, await chosen()))
  assert.deepEqual((await chosen()).map(({ offset }) => offset), [1n, 2n])

  assert.match(await run('replay', '--reason', 'other-content'), /: 1 record\./)
  const copies = async () => (await recordsOf(TOPICS.unwritable.name)).filter(({ tombstone }) => !tombstone).length
  assert.equal(await copies(), 1)
  assert.match(await run('replay', '--reason', 'unwritable'), /: 1 record\.\nRun/)
  assert.equal(await copies(), 0, 'no clock would delete it')
  const sent = (await recordsOf(topic)).map(({ key, value, headers }): EncodedRecord => ({ key, value, headers: { ...headers } }))
  const asTheyWere = originals.map((original) => ({ ...original, value: Buffer.from(original.value) }))
  assert.deepEqual(sent, [asTheyWere[0], asTheyWere[1], asTheyWere[1], asTheyWere[2]], 'the one without a mark came twice, none is missing')
  assert.match(await run('replay'), /^Nothing is parked that fits/)

  // A status goes back only while no newer one stands behind it.
  const send = async (value: string) => producer.send({ topic: TOPICS.status.name, partition, key: session, value: Buffer.from(value), headers: { writer: 'completeness' } })
  for (const value of ['old', 'new']) {
    const { offset } = await send(value)
    await parker.park({ topic: TOPICS.status.name, partition, offset, tombstone: false, timestamp: 1, key: session, headers: {}, value: Buffer.from(value) }, { reason: 'mismatch', details: '' })
  }
  assert.match(await run('replay'), /: 1 record\.\nNot needed any more.*: 1 record\./)
  assert.deepEqual((await recordsOf(TOPICS.status.name)).map(({ value }) => value.toString()), ['old', 'new', 'new'])
  assert.deepEqual(await chosen(), [])
})
