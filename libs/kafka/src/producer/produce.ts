import type { Cluster } from '../cluster.ts'
import { KafkaError } from '../errors.ts'
import type { OutgoingRecord } from '../record.ts'

export interface Batch {
  readonly topic: string
  readonly partition: number
  readonly records: readonly OutgoingRecord[]
  readonly bytes: number
}

/** What became of one batch: in the log at an offset, refused with the protocol's code, or unknown. */
export type Outcome = { offset: bigint } | { code: number } | { error: Error }

interface ProduceResponse {
  topics: { topicName: string; partitions: { partition: number; errorCode: number; baseOffset: string }[] }[]
}

const ALL_IN_SYNC_REPLICAS = -1

/** Sends the batches of one broker's partitions in one request. Never rejects; the outcomes stand in the batches' order. */
export async function produce(cluster: Cluster, nodeId: number, batches: readonly Batch[], timeoutMs: number): Promise<Outcome[]> {
  const byTopic = Map.groupBy(batches, ({ topic }) => topic)
  const topicData = [...byTopic].map(([topic, ofTopic]) => ({
    topic,
    partitions: ofTopic.map(({ partition, records }) => ({ partition, messages: records.map(toMessage) })),
  }))
  let response: ProduceResponse
  try {
    response = await cluster.raw<ProduceResponse>(nodeId, 'Produce', { acks: ALL_IN_SYNC_REPLICAS, timeout: timeoutMs, topicData })
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

const toMessage = ({ key, value, headers, timestamp }: OutgoingRecord) => ({
  key,
  value: value === null ? null : Buffer.from(value.buffer, value.byteOffset, value.byteLength),
  headers,
  // As text: kafkajs sorts a batch's timestamps as text to find the first and the last.
  timestamp: String(timestamp ?? Date.now()),
})
