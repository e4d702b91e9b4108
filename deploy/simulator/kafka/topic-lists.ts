import type { WireReader, WireWriter } from './wire.ts'

/** Most requests and answers hold lists of topics with lists of partitions. */
export interface Part<T> {
  topic: string
  partitions: T[]
}

export function readTopics<T>(body: WireReader, partition: () => T): Part<T>[] {
  return body.array(() => ({ topic: body.text(), partitions: body.array(partition) }))
}

export function writeTopics<T>(
  answer: WireWriter,
  topics: readonly Part<T>[],
  partition: (value: T) => void,
): WireWriter {
  return answer.array(topics, (of) => {
    answer.text(of.topic).array(of.partitions, partition)
  })
}
