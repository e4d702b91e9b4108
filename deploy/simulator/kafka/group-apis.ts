import type { ApiHandler, Request, Respond } from './broker.ts'
import type { SimKafka } from './cluster.ts'
import { ERRORS, WireWriter } from './wire.ts'

const PORT = 9092

type Entries = [number, { min: number; max: number; handle: ApiHandler }][]

/** FindCoordinator, JoinGroup, SyncGroup, Heartbeat, LeaveGroup, OffsetCommit, OffsetFetch. */
export function groupApis(kafka: SimKafka): Entries {
  return [
    [8, { min: 2, max: 6, handle: (request, respond) => offsetCommit(kafka, request, respond) }],
    [9, { min: 1, max: 5, handle: (request, respond) => offsetFetch(kafka, request, respond) }],
    [10, { min: 0, max: 2, handle: (request, respond) => findCoordinator(kafka, request, respond) }],
    [11, { min: 5, max: 5, handle: (request, respond) => joinGroup(kafka, request, respond) }],
    [12, { min: 0, max: 3, handle: (request, respond) => heartbeat(kafka, request, respond) }],
    [13, { min: 3, max: 3, handle: (request, respond) => leaveGroup(kafka, request, respond) }],
    [14, { min: 3, max: 3, handle: (request, respond) => syncGroup(kafka, request, respond) }],
  ]
}

function findCoordinator(kafka: SimKafka, { body, version }: Request, respond: Respond): void {
  const coordinator = kafka.brokers[kafka.groups.coordinatorOf(body.text())]!
  const answer = new WireWriter()
  if (version >= 1) answer.int32(0)
  answer.int16(ERRORS.none)
  if (version >= 1) answer.text(null)
  respond(answer.int32(coordinator.id).text(coordinator.host).int32(PORT))
}

function joinGroup(kafka: SimKafka, { body, broker, clientId }: Request, respond: Respond): void {
  const group = body.text()
  const sessionTimeoutMs = body.int32()
  const rebalanceTimeoutMs = body.int32()
  const member = body.text()
  body.nullable() // static membership is not used
  body.text()
  const protocols = body.array(() => ({ protocol: body.text(), metadata: Buffer.from(body.bytes()) }))
  const fault = kafka.groups.fault(group, broker.id)
  const send = (answer: Parameters<Parameters<typeof kafka.groups.join>[1]>[0]): void => {
    const writer = new WireWriter().int32(0).int16(answer.error)
    if (!('generation' in answer)) {
      return respond(
        writer
          .int32(-1)
          .text('')
          .text('')
          .text(answer.member)
          .array([], () => undefined),
      )
    }
    writer.int32(answer.generation).text(answer.protocol).text(answer.leader).text(answer.member)
    writer.array(answer.members, ({ id, metadata }) => {
      writer.text(id).text(null).blob(metadata)
    })
    respond(writer)
  }
  if (fault !== 0) return send({ error: fault, member })
  kafka.groups.join({ group, member, clientId, sessionTimeoutMs, rebalanceTimeoutMs, ...protocols[0]! }, send)
}

function syncGroup(kafka: SimKafka, { body, broker }: Request, respond: Respond): void {
  const group = body.text()
  const generation = body.int32()
  const member = body.text()
  body.nullable()
  const assignments = body.array(() => ({ member: body.text(), assignment: Buffer.from(body.bytes()) }))
  const send = ({ error, assignment }: { error: number; assignment: Buffer }): void => {
    respond(new WireWriter().int32(0).int16(error).blob(assignment))
  }
  const fault = kafka.groups.fault(group, broker.id)
  if (fault !== 0) return send({ error: fault, assignment: Buffer.alloc(0) })
  kafka.groups.sync({ group, generation, member, assignments }, send)
}

function heartbeat(kafka: SimKafka, { body, broker, version }: Request, respond: Respond): void {
  const group = body.text()
  const generation = body.int32()
  const member = body.text()
  const fault = kafka.groups.fault(group, broker.id)
  const answer = new WireWriter()
  if (version >= 1) answer.int32(0)
  respond(answer.int16(fault !== 0 ? fault : kafka.groups.heartbeat(group, generation, member)))
}

function leaveGroup(kafka: SimKafka, { body, broker }: Request, respond: Respond): void {
  const group = body.text()
  const members = body.array(() => ({ id: body.text(), instance: body.nullable() }))
  const fault = kafka.groups.fault(group, broker.id)
  const answer = new WireWriter().int32(0).int16(fault)
  answer.array(fault === 0 ? members : [], ({ id }) => {
    answer.text(id).text(null).int16(kafka.groups.leave(group, id))
  })
  respond(answer)
}

function offsetCommit(kafka: SimKafka, { body, broker, version }: Request, respond: Respond): void {
  const group = body.text()
  const generation = body.int32()
  const member = body.text()
  if (version < 5) body.int64() // retention
  const topics = body.array(() => ({
    topic: body.text(),
    partitions: body.array(() => {
      const partition = body.int32()
      const offset = Number(body.int64())
      if (version >= 6) body.int32() // leader epoch
      return { partition, offset, metadata: body.nullable() }
    }),
  }))
  const offsets = topics.flatMap(({ topic, partitions }) => partitions.map((of) => ({ topic, ...of })))
  const fault = kafka.groups.fault(group, broker.id)
  const error = fault !== 0 ? fault : kafka.groups.commit(group, generation, member, offsets)
  const answer = new WireWriter()
  if (version >= 3) answer.int32(0)
  answer.array(topics, ({ topic, partitions }) => {
    answer.text(topic).array(partitions, ({ partition }) => {
      answer.int32(partition).int16(error)
    })
  })
  respond(answer)
}

function offsetFetch(kafka: SimKafka, { body, broker, version }: Request, respond: Respond): void {
  const group = body.text()
  const topics = body.array(() => ({ topic: body.text(), partitions: body.array(() => body.int32()) }))
  const fault = kafka.groups.fault(group, broker.id)
  const answer = new WireWriter()
  if (version >= 3) answer.int32(0)
  answer.array(fault === 0 ? topics : [], ({ topic, partitions }) => {
    answer.text(topic).array(partitions, (partition) => {
      answer.int32(partition).int64(kafka.groups.committed(group, topic, partition) ?? -1)
      if (version >= 5) answer.int32(-1)
      answer.text(kafka.groups.metadataOf(group, topic, partition)).int16(ERRORS.none)
    })
  })
  if (version >= 2) answer.int16(fault)
  respond(answer)
}
