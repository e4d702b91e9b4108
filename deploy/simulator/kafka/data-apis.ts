import type { ApiHandler, Request, Respond } from './broker.ts'
import type { SimKafka } from './cluster.ts'
import type { PartitionLog } from './partition-log.ts'
import { batchHeader } from './record-batch.ts'
import { fetch } from './fetch-api.ts'
import { readTopics, writeTopics } from './topic-lists.ts'
import { ERRORS, type WireReader, WireWriter } from './wire.ts'

const PORT = 9092
const TOPIC_ID_BYTES = 16
/** Stands for: the operations that a client may do were not asked for. */
const NO_OPERATIONS = -0x80000000

type Entries = [number, { min: number; max: number; handle: ApiHandler }][]

/** Produce, Fetch, ListOffsets, Metadata, DeleteRecords, InitProducerId, OffsetForLeaderEpoch. */
export function dataApis(kafka: SimKafka): Entries {
  return [
    [0, { min: 3, max: 8, handle: (request, respond) => produce(kafka, request, respond) }],
    [1, { min: 4, max: 11, handle: (request, respond) => fetch(kafka, request, respond) }],
    [2, { min: 1, max: 5, handle: (request, respond) => listOffsets(kafka, request, respond) }],
    [3, { min: 1, max: 10, handle: (request, respond) => metadata(kafka, request, respond) }],
    [21, { min: 0, max: 1, handle: (request, respond) => deleteRecords(kafka, request, respond) }],
    [22, { min: 0, max: 1, handle: ({ body }, respond) => initProducerId(kafka, body, respond) }],
    [23, { min: 0, max: 3, handle: (request, respond) => offsetForLeaderEpoch(kafka, request, respond) }],
  ]
}

/** Version 10 is flexible, and names topics by an id, too (KIP-516). */
function compactMetadata(kafka: SimKafka, { body, broker }: Request, respond: Respond): void {
  body.tags()
  const topics = body.compactArray(() => {
    body.raw(TOPIC_ID_BYTES)
    const topic = body.compactText()
    body.tags()
    return topic
  })
  const answer = new WireWriter().tags().int32(0)
  const up = kafka.brokers.filter((of) => of.up)
  answer.compactArray(up, ({ id, host }) => answer.int32(id).compactText(host).int32(PORT).compactText(null).tags())
  answer.compactText('simulated').int32(0)
  const nodes = (ids: readonly number[]): void => void answer.compactArray(ids, (id) => answer.int32(id))
  answer.compactArray(topics, (topic) => {
    const logs = kafka.partitionsOf(topic)
    answer.int16(logs.length === 0 ? ERRORS.unknownTopicOrPartition : ERRORS.none).compactText(topic)
    answer.raw(Buffer.alloc(TOPIC_ID_BYTES, topic)).int8(0)
    answer.compactArray(logs, (log) => {
      const { leader, epoch } = log.seenAfter(broker.metadataLagMs)
      answer.int16(ERRORS.none).int32(log.index).int32(leader).int32(epoch)
      nodes(kafka.brokers.map(({ id }) => id))
      nodes(up.map(({ id }) => id))
      nodes([])
      answer.tags()
    })
    answer.int32(NO_OPERATIONS).tags()
  })
  respond(answer.tags())
}

function metadata(kafka: SimKafka, request: Request, respond: Respond): void {
  const { body, version, broker } = request
  if (version > 7) return compactMetadata(kafka, request, respond)
  const named = body.array(() => body.text())
  const topics = named.length === 0 && version < 4 ? kafka.topics : named
  const answer = new WireWriter()
  if (version >= 3) answer.int32(0)
  answer.array(
    kafka.brokers.filter(({ up }) => up),
    ({ id, host }) => {
      answer.int32(id).text(host).int32(PORT).text(null)
    },
  )
  if (version >= 2) answer.text('simulated')
  answer.int32(0)
  answer.array(topics, (topic) => {
    const logs = kafka.partitionsOf(topic)
    answer
      .int16(logs.length === 0 ? ERRORS.unknownTopicOrPartition : ERRORS.none)
      .text(topic)
      .int8(0)
    answer.array(logs, (log) => {
      const { leader, epoch } = log.seenAfter(broker.metadataLagMs)
      const replicas = kafka.brokers.map(({ id }) => id)
      answer.int16(ERRORS.none).int32(log.index).int32(leader)
      if (version >= 7) answer.int32(epoch)
      for (const list of [replicas, replicas.filter((id) => kafka.brokers[id]!.up)])
        answer.array(list, (id) => answer.int32(id))
      if (version >= 5) answer.array([], () => undefined)
    })
  })
  respond(answer)
}

function produce(kafka: SimKafka, { body, broker, version }: Request, respond: Respond): void {
  body.nullable()
  body.int16() // acks: all in-sync replicas
  const timeoutMs = body.int32()
  const results = readTopics(body, () => ({
    partition: body.int32(),
    records: body.bytes(),
    error: ERRORS.none as number,
    base: -1,
  }))
  const waiting = new Set<object>()
  let answered = false
  const answer = (): void => {
    if (answered || waiting.size > 0) return
    answered = true
    const writer = new WireWriter()
    writeTopics(writer, results, ({ partition, error, base }) => {
      writer
        .int32(partition)
        .int16(error)
        .int64(error === ERRORS.none ? base : -1)
        .int64(-1)
      if (version >= 5) writer.int64(0)
      if (version >= 8) writer.int32(0).text(null)
    })
    respond(writer.int32(0))
  }
  for (const { topic, partitions } of results) {
    for (const result of partitions) {
      const log = kafka.log(topic, result.partition)
      if (log === undefined) result.error = ERRORS.unknownTopicOrPartition
      else if (log.leader !== broker.id) result.error = ERRORS.notLeader
      else
        appendAndWait(
          kafka,
          log,
          result,
          () => {
            waiting.delete(result)
            answer()
          },
          () => waiting.add(result),
          timeoutMs,
        )
    }
  }
  answer()
}

interface ProduceResult {
  records: Buffer
  error: number
  base: number
}

function appendAndWait(
  kafka: SimKafka,
  log: PartitionLog,
  result: ProduceResult,
  settled: () => void,
  mustWait: () => void,
  timeoutMs: number,
): void {
  const header = batchHeader(result.records)
  const { epoch } = log
  if (kafka.mutation === 'early-ack' && kafka.random.chance(0.05)) {
    result.base = log.end
    return
  }
  const appended = log.append(result.records, header.count, header, kafka.replicationMs())
  if (typeof appended === 'string') {
    result.error = appended === 'fenced' ? ERRORS.invalidProducerEpoch : ERRORS.outOfOrderSequence
    return
  }
  result.base = appended.base
  const end = appended.base + header.count
  if (log.highWatermark >= end) return
  mustWait()
  let isOver = false
  const cancel = kafka.time.after(timeoutMs, () => check(ERRORS.requestTimedOut))
  const check = (failure?: number): void => {
    if (isOver) return
    if (log.epoch !== epoch) result.error = ERRORS.notLeader
    else if (log.highWatermark < end) {
      if (failure === undefined) return void log.onChange(() => check())
      result.error = failure
    }
    isOver = true
    cancel()
    settled()
  }
  check()
}

const LATEST = -1n
const EARLIEST = -2n

function listOffsets(kafka: SimKafka, { body, broker, version }: Request, respond: Respond): void {
  body.int32()
  if (version >= 2) body.int8()
  const topics = readTopics(body, () => {
    const partition = body.int32()
    if (version >= 4) body.int32()
    return { partition, timestamp: body.int64() }
  })
  const answer = new WireWriter()
  if (version >= 2) answer.int32(0)
  writeTopics(answer, topics, (asked) => {
    const topic = topics.find(({ partitions }) => partitions.includes(asked))!.topic
    const log = kafka.log(topic, asked.partition)
    const isLeader = log?.leader === broker.id
    const offset = asked.timestamp === LATEST ? log?.highWatermark : asked.timestamp === EARLIEST ? log?.start : -1
    answer
      .int32(asked.partition)
      .int16(isLeader ? ERRORS.none : ERRORS.notLeader)
      .int64(-1)
      .int64(isLeader ? (offset ?? -1) : -1)
    if (version >= 4) answer.int32(log?.epoch ?? -1)
  })
  respond(answer)
}

function deleteRecords(kafka: SimKafka, { body, broker }: Request, respond: Respond): void {
  const topics = readTopics(body, () => ({ partition: body.int32(), offset: Number(body.int64()) }))
  const answer = new WireWriter().int32(0)
  writeTopics(answer, topics, (asked) => {
    const topic = topics.find(({ partitions }) => partitions.includes(asked))!.topic
    const log = kafka.log(topic, asked.partition)
    const isLeader = log?.leader === broker.id
    if (isLeader) log?.deleteBefore(asked.offset < 0 ? log.highWatermark : asked.offset)
    answer
      .int32(asked.partition)
      .int64(isLeader ? (log?.start ?? -1) : -1)
      .int16(isLeader ? ERRORS.none : ERRORS.notLeader)
  })
  respond(answer)
}

function initProducerId(kafka: SimKafka, body: WireReader, respond: Respond): void {
  body.nullable()
  body.int32()
  respond(new WireWriter().int32(0).int16(ERRORS.none).int64(kafka.newProducerId()).int16(0))
}

function offsetForLeaderEpoch(kafka: SimKafka, { body, broker, version }: Request, respond: Respond): void {
  if (version >= 3) body.int32()
  const topics = readTopics(body, () => {
    const partition = body.int32()
    const current = version >= 2 ? body.int32() : -1
    return { partition, current, epoch: body.int32() }
  })
  const answer = new WireWriter()
  if (version >= 2) answer.int32(0)
  writeTopics(answer, topics, (asked) => {
    const topic = topics.find(({ partitions }) => partitions.includes(asked))!.topic
    const log = kafka.log(topic, asked.partition)
    const error =
      log?.leader !== broker.id
        ? ERRORS.notLeader
        : asked.current >= 0 && asked.current < log.epoch
          ? ERRORS.fencedLeaderEpoch
          : ERRORS.none
    const found = error === ERRORS.none ? log!.endOfEpoch(asked.epoch) : { epoch: -1, end: -1 }
    answer.int16(error).int32(asked.partition)
    if (version >= 1) answer.int32(found.epoch)
    answer.int64(found.end)
  })
  respond(answer)
}
