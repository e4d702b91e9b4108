import type { Cluster } from '../cluster.ts'
import { KafkaError } from '../errors.ts'
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
    const body = encodeProduce(batches, timeoutMs, Date.now())
    response = await cluster.raw<ProduceResponse>(nodeId, 'Produce', { acks: -1, timeout: timeoutMs, topicData: [] }, { body })
  } catch (cause) {
    const error = cause instanceof Error ? cause : new Error(String(cause))
    return batches.map(() => ({ error }))
  }
  const answers = new Map(response.topics.flatMap(({ topicName, partitions }) => partitions.map((answer) => [`${topicName}/${answer.partition}`, answer])))
  return batches.map(({ topic, partition }) => {
    const answer = answers.get(`${topic}/${partition}`)
    if (answer === undefined) return { error: new KafkaError('KAFKA_UNREACHABLE', `the broker's answer leaves out ${topic}/${partition}`) }
    if (answer.errorCode !== 0) return { code: answer.errorCode }
    return { offset: BigInt(answer.baseOffset) }
  })
}
