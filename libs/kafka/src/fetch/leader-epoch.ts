import { KafkaError } from '../errors.ts'

/** What the leader's log holds of an epoch: the last one up to it, and the offset behind that one's last record. */
export interface EpochEnd {
  readonly errorCode: number
  readonly leaderEpoch: number
  readonly endOffset: bigint
}

export interface EpochQuestion {
  readonly topic: string
  readonly partition: number
  /** Of the leader that is asked. */
  readonly currentLeaderEpoch: number
  /** The epoch whose end is asked for. */
  readonly leaderEpoch: number
}

interface OffsetForLeaderEpochResponse {
  topics: { topic: string; partitions: ({ partition: number } & EpochEnd)[] }[]
}

/** Asks a leader where epochs end in its log (OffsetForLeaderEpoch, KIP-320), in the order of the questions. */
export async function epochEnds(raw: (args: object) => Promise<unknown>, questions: readonly EpochQuestion[]): Promise<(EpochEnd | KafkaError)[]> {
  const topics = [...Map.groupBy(questions, ({ topic }) => topic)].map(([topic, partitions]) => ({ topic, partitions }))
  const { topics: answered } = (await raw({ topics })) as OffsetForLeaderEpochResponse
  const found = answered.flatMap(({ topic, partitions }) => partitions.map((end) => ({ topic, ...end })))
  return questions.map(({ topic, partition }) => {
    const [end, ...more] = found.filter((of) => of.topic === topic && of.partition === partition)
    if (end === undefined || more.length > 0) return new KafkaError('KAFKA_UNEXPECTED_ANSWER', `the leader of ${topic}/${partition} returned no single end offset for its epoch`)
    return end
  })
}
