import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import { Cluster } from '../src/cluster.ts'
import { createProducer } from '../src/index.ts'

const timedOut = () => Object.assign(new Error('Request Produce timed out'), { name: 'KafkaJSRequestTimeoutError' })

/** A producer whose broker 1 leads all partitions and hangs; broker 2 answers, once it is their leader. */
function setUp(context: TestContext) {
  const world = { leader: 1, known: 1, toHung: [] as number[], fail: [] as (() => void)[] }
  context.mock.method(Cluster.prototype, 'leader', () => world.known)
  context.mock.method(Cluster.prototype, 'refresh', async () => {
    await nextTurn()
    world.known = world.leader
  })
  context.mock.method(Cluster.prototype, 'raw', async (nodeId: number, api: string, _: object, instead?: { body?: Buffer }) => {
    await nextTurn()
    if (api === 'InitProducerId') return { errorCode: 0, producerId: '7' }
    const partition = partitionOf(instead!.body!)
    if (nodeId === 2) return { topics: [{ topicName: 't', partitions: [{ partition, errorCode: 0, baseOffset: '0' }] }] }
    world.toHung.push(partition)
    return new Promise((_resolve, reject) => world.fail.push(() => reject(timedOut())))
  })
  // One lane a request, as large batches make it.
  const producer = createProducer({ kafka: { brokers: ['127.0.0.1:1'], clientId: 'test' }, maxRequestBytes: 1 })
  const send = (partition: number) => producer.send({ topic: 't', partition, key: 's', value: Buffer.from('v') })
  return { world, producer, send }
}

/** Of a Produce request with one topic of a one-letter name: behind its transactional id, acks, timeout and counts. */
const partitionOf = (body: Buffer): number => body.readInt32BE(2 + 2 + 4 + 4 + 2 + 1 + 4)

const until = async (holds: () => boolean, signal: AbortSignal): Promise<void> => {
  while (!holds() && !signal.aborted) await nextTurn()
}

test('lanes that wait for a broker which hangs go to the next leader as soon as one of its requests has failed', { timeout: 20_000 }, async (context) => {
  const { world, producer, send } = setUp(context)
  try {
    const sends = [0, 1, 2, 3].map((partition) => send(partition))
    await until(() => world.fail.length === 2, context.signal)
    world.leader = 2
    world.fail[0]!()
    assert.deepEqual(await Promise.all(sends.slice(2)), [{ offset: 0n }, { offset: 0n }])
    assert.deepEqual(world.toHung, [0, 1], 'nothing more is given to it')
    // What it holds may be in the log: only its own failure settles that.
    world.fail[1]!()
    await Promise.all(sends)
  } finally {
    for (const fail of world.fail) fail()
    await producer.close({ timeoutMs: 0 })
  }
})

test('a batch that is called out of order goes again unchanged until fresh metadata has confirmed the leader', { timeout: 20_000 }, async (context) => {
  const OUT_OF_ORDER = 45
  let failingRefreshes = 2
  const epochs: number[] = []
  context.mock.method(Cluster.prototype, 'leader', () => 1)
  context.mock.method(Cluster.prototype, 'refresh', async () => {
    await nextTurn()
    failingRefreshes -= 1
    if (failingRefreshes >= 0) throw timedOut()
  })
  context.mock.method(Cluster.prototype, 'raw', async (_: number, api: string, __: object, instead?: { body?: Buffer }) => {
    await nextTurn()
    if (api === 'InitProducerId') return { errorCode: 0, producerId: '7' }
    const epoch = instead!.body!.readInt16BE(BATCH_AT + PRODUCER_EPOCH_AT)
    epochs.push(epoch)
    return { topics: [{ topicName: 't', partitions: [{ partition: 0, errorCode: epoch === 0 ? OUT_OF_ORDER : 0, baseOffset: '0' }] }] }
  })
  await using producer = createProducer({ kafka: { brokers: ['127.0.0.1:1'], clientId: 'test' } })
  await producer.send({ topic: 't', partition: 0, key: 's', value: Buffer.from('v') })
  // Of four such answers only the last two have a successful refresh between them.
  assert.deepEqual(epochs, [0, 0, 0, 0, 1])
})

/** Of a Produce request as above, and of the producer's epoch in a record batch of format 2. */
const BATCH_AT = 2 + 2 + 4 + 4 + 2 + 1 + 4 + 4 + 4
const PRODUCER_EPOCH_AT = 51
