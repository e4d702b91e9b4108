import type { Request, Respond } from './broker.ts'
import type { SimKafka } from './cluster.ts'
import type { PartitionLog } from './partition-log.ts'
import { readTopics, writeTopics } from './topic-lists.ts'
import { ERRORS, WireWriter } from './wire.ts'

interface FetchPartition {
  partition: number
  epoch: number
  offset: number
  maxBytes: number
}

/** Fetch: answers at once where there is something, else when there is or when the time is over. */
export function fetch(kafka: SimKafka, { body, broker, version, isWanted }: Request, respond: Respond): void {
  body.int32() // replica
  const maxWaitMs = body.int32()
  body.int32() // minBytes: one
  const maxBytes = body.int32()
  body.int8()
  if (version >= 7) body.int64() // session id and epoch
  const topics = readTopics(body, (): FetchPartition => {
    const partition = body.int32()
    const epoch = version >= 9 ? body.int32() : -1
    const offset = Number(body.int64())
    if (version >= 5) body.int64()
    return { partition, epoch, offset, maxBytes: body.int32() }
  })
  const error = (topic: string, asked: FetchPartition): number => fetchError(kafka, broker.id, topic, asked)
  const isReady = (): boolean =>
    topics.some(({ topic, partitions }) =>
      partitions.some(
        (asked) =>
          error(topic, asked) !== 0 ||
          asked.offset < (kafka.log(topic, asked.partition)?.servedBy(broker.id)?.highWatermark ?? 0),
      ),
    )
  const answer = (): void => {
    const writer = new WireWriter().int32(0)
    if (version >= 7) writer.int16(0).int32(0)
    let left = maxBytes
    writeTopics(writer, topics, (asked) => {
      const topic = topics.find(({ partitions }) => partitions.includes(asked))!.topic
      const log = kafka.log(topic, asked.partition)
      const code = error(topic, asked)
      const served = log?.servedBy(broker.id)?.highWatermark ?? -1
      const data =
        code === 0 && left > 0 ? log!.read(asked.offset, served, Math.min(left, asked.maxBytes)) : Buffer.alloc(0)
      left -= data.length
      writer.int32(asked.partition).int16(code).int64(served).int64(served)
      if (version >= 5) writer.int64(log?.start ?? -1)
      writer.array([], () => undefined)
      if (version >= 11) writer.int32(-1)
      writer.blob(data)
    })
    respond(writer)
  }
  if (isReady()) return answer()
  const logs = topics.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition }) => kafka.log(topic, partition)).filter((log) => log !== undefined),
  )
  const ends: (() => void)[] = []
  let isOver = false
  const settle = (): void => {
    if (isOver) return
    isOver = true
    for (const end of ends) end()
    if (isWanted()) answer()
  }
  const watch = (log: PartitionLog): void => void ends.push(log.onChange(() => (isReady() ? settle() : watch(log))))
  for (const log of logs) watch(log)
  ends.push(kafka.time.after(maxWaitMs * kafka.idleFactor, settle))
}

function fetchError(
  kafka: SimKafka,
  broker: number,
  topic: string,
  { partition, epoch, offset }: FetchPartition,
): number {
  const log = kafka.log(topic, partition)
  if (log === undefined) return ERRORS.unknownTopicOrPartition
  const served = log.servedBy(broker)
  if (served === undefined) return ERRORS.notLeader
  if (!served.isLeader) return offset > served.highWatermark ? ERRORS.notLeader : ERRORS.none
  if (epoch >= 0 && epoch < log.epoch) return ERRORS.fencedLeaderEpoch
  if (epoch > log.epoch) return ERRORS.unknownLeaderEpoch
  return offset < log.start || offset > log.end ? ERRORS.offsetOutOfRange : ERRORS.none
}
