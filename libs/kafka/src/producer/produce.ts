import type { Cluster } from '../cluster.ts'
import { KafkaError } from '../errors.ts'
import { partitionKey } from '../offsets.ts'
import { encodeProduce, type Batch } from './encode.ts'

/** What became of one batch: in the log at an offset, refused with the protocol's code, or unknown. */
export type Outcome = { offset: bigint } | { code: number } | { error: Error }

interface ProduceResponse {
  topics: { topicName: string; partitions: { partition: number; errorCode: number; baseOffset: string }[] }[]
}

/** Sends the batches of one broker's partitions in one request. Never rejects; the outcomes stand in the batches' order. */
export async function produce(cluster: Cluster, nodeId: number, batches: readonly Batch[], timeoutMs: number): Promise<Outcome[]> {
  let response: ProduceResponse
  try {
    const body = encodeProduce(batches, timeoutMs)
    response = await cluster.raw<ProduceResponse>(nodeId, 'Produce', { acks: -1, timeout: timeoutMs, topicData: [] }, { body })
  } catch (cause) {
    const error = cause instanceof Error ? cause : new Error(String(cause))
    return batches.map(() => ({ error }))
  }
  const answers = Map.groupBy(
    response.topics.flatMap(({ topicName, partitions }) => partitions.map((answer) => ({ key: partitionKey({ topic: topicName, partition: answer.partition }), ...answer }))),
    ({ key }) => key,
  )
  return batches.map((batch) => {
    const key = partitionKey(batch)
    const [answer, ...more] = answers.get(key) ?? []
    // Neither is an acknowledgement: the batch is sent again.
    if (answer === undefined || more.length > 0) return { error: new KafkaError('KAFKA_UNEXPECTED_ANSWER', `the broker returned no single result for ${key}`) }
    if (answer.errorCode !== 0) return { code: answer.errorCode }
    const offset = BigInt(answer.baseOffset)
    if (offset < 0n) return { error: new KafkaError('KAFKA_UNEXPECTED_ANSWER', `the broker acknowledged a batch of ${key} without its offset`) }
    return { offset }
  })
}
