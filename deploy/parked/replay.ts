import { setTimeout as delay } from 'node:timers/promises'
import { TOPICS } from '@longtake/contracts'
import { deleteBefore, existingTopics, PARKED_TOPICS, readPartitionToEnd, readTable, toReplayed, toReplayedMark, type KafkaConfig, type Producer, type TableReader } from '@longtake/kafka'
import { Backlog, positionOf, type ParkedRecord } from './backlog.ts'

/**
 * Reads all that is parked now. A topic that is missing, as before the cluster was provisioned for this version, holds nothing.
 */
export async function readBacklog(kafka: KafkaConfig, topics: readonly string[] = PARKED_TOPICS): Promise<Backlog> {
  const backlog = new Backlog()
  for (const topic of await existingTopics(kafka, topics)) {
    await using reader = readTable({ kafka, topic, stopAtEnd: true, onRecord: (record) => backlog.add(record), onFatal: () => {} })
    await untilRead(reader, topic)
  }
  return backlog
}

/** A broker that does not answer for so long, or refuses to be read for want of a right, is reported instead of waited for. */
const UNREADABLE_MS = 12_000

async function untilRead(reader: TableReader, topic: string): Promise<void> {
  const begunAt = performance.now()
  const read = reader.caughtUp.then(() => true)
  while (!(await Promise.race([read, delay(500, false, { ref: false })]))) {
    const health = reader.check()
    if (health.ready || performance.now() - begunAt < UNREADABLE_MS) continue
    throw new Error(`${topic} cannot be read: ${health.reason}`)
  }
}

/**
 * Deletes the records of `recordings.unwritable` before the first one of each partition that was not sent back: no clock does.
 * Resolves with how many partitions that concerned.
 */
export async function truncateSentBack(kafka: KafkaConfig): Promise<number> {
  const topic = TOPICS.unwritable.name
  const finished = (await readBacklog(kafka, [topic])).finished(topic)
  if (finished.length > 0) await deleteBefore(kafka, topic, finished)
  return finished.length
}

export interface Replayed {
  readonly sent: number
  /** Statuses behind which a newer one of the session stands: whoever parked them has seen that one. */
  readonly superseded: number
}

/**
 * Sends the chosen records to where they were read, each partition in its order. A record is marked as sent back only once
 * the broker has it: a crash in between repeats it at the next replay, which every reader bears.
 */
export async function replay(kafka: KafkaConfig, producer: Pick<Producer, 'send'>, chosen: readonly ParkedRecord[], onReplayed: (replayed: Replayed) => void = () => {}): Promise<Replayed> {
  const superseded = await findSuperseded(kafka, chosen)
  const byPosition = new Map(chosen.map((parked) => [positionOf(parked), parked]))
  const count = { sent: 0, superseded: 0 }
  for (const [topic, ofTopic] of Map.groupBy(chosen, ({ place }) => place)) {
    await using reader = readTable({
      kafka,
      topic,
      partitions: [...new Set(ofTopic.map(({ partition }) => partition))],
      stopAtEnd: true,
      onRecord: async (record) => {
        const parked = byPosition.get(positionOf({ place: topic, partition: record.partition, position: record.offset }))
        if (parked === undefined) return
        const isSuperseded = superseded.has(parked)
        if (!isSuperseded) await producer.send(toReplayed(record, parked))
        await producer.send(toReplayedMark(record, parked, new Date().toISOString()))
        count[isSuperseded ? 'superseded' : 'sent'] += 1
        onReplayed(count)
      },
      onFatal: () => {},
    })
    await reader.caughtUp
  }
  return count
}

/**
 * An old status sent again would stand behind a newer one in the compacted topic, which is where completeness keeps what it
 * knows. Where there is a newer one nothing needs the old one any more.
 */
async function findSuperseded(kafka: KafkaConfig, chosen: readonly ParkedRecord[]): Promise<Set<ParkedRecord>> {
  const statuses = chosen.filter(({ topic }) => topic === TOPICS.status.name)
  const superseded = new Set<ParkedRecord>()
  for (const [partition, parked] of Map.groupBy(statuses, (status) => status.partition)) {
    const newest = new Map<string, bigint>()
    await readPartitionToEnd({ kafka, topic: TOPICS.status.name, partition, onRecord: ({ key, offset }) => void newest.set(key, offset) })
    for (const status of parked) if ((newest.get(status.session) ?? status.offset) > status.offset) superseded.add(status)
  }
  return superseded
}
