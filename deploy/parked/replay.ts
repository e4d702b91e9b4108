import { TOPICS } from '@longtake/contracts'
import { readPartitionToEnd, readTable, toReplayed, toReplayedMark, type KafkaConfig, type Producer } from '@longtake/kafka'
import { Backlog, positionOf, type ParkedRecord } from './backlog.ts'

/** Reads all of `recordings.parked` as it is now. */
export async function readBacklog(kafka: KafkaConfig): Promise<Backlog> {
  const backlog = new Backlog()
  await using reader = readTable({ kafka, topic: TOPICS.parked.name, stopAtEnd: true, onRecord: (record) => backlog.add(record), onFatal: () => {} })
  await reader.caughtUp
  return backlog
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
export async function replay(kafka: KafkaConfig, producer: Pick<Producer, 'send'>, chosen: readonly ParkedRecord[], told: (replayed: Replayed) => void = () => {}): Promise<Replayed> {
  const superseded = await findSuperseded(kafka, chosen)
  const byPosition = new Map(chosen.map((parked) => [positionOf(parked), parked]))
  const count = { sent: 0, superseded: 0 }
  await using reader = readTable({
    kafka,
    topic: TOPICS.parked.name,
    partitions: [...new Set(chosen.map(({ partition }) => partition))],
    stopAtEnd: true,
    onRecord: async (record) => {
      const parked = byPosition.get(`${record.partition}:${record.offset}`)
      if (parked === undefined) return
      const isSuperseded = superseded.has(parked)
      if (!isSuperseded) await producer.send(toReplayed(record, parked))
      await producer.send(toReplayedMark(record, parked, new Date().toISOString()))
      count[isSuperseded ? 'superseded' : 'sent'] += 1
      told(count)
    },
    onFatal: () => {},
  })
  await reader.caughtUp
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
