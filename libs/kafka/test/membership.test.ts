import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Membership } from '../src/consumer/membership.ts'
import type { Cluster } from '../src/cluster.ts'
import { createErrorFromCode, MemberAssignment, MemberMetadata } from '../src/kafkajs.ts'
import { VirtualTime } from './fixtures/virtual-time.ts'

const ILLEGAL_GENERATION = 22
const REBALANCE_IN_PROGRESS = 27
const SESSION_MS = 15_000
const TOPIC = 'chunks'

type Commit = { responses: { topic: string; partitions: { partition: number; errorCode: number }[] }[] }
interface Request {
  api: string
  args: { groupGenerationId?: number }
  /** When the coordinator has had it. */
  at: number
}

const commitAnswer = (codes: Record<number, number>): Commit => ({
  responses: [{ topic: TOPIC, partitions: Object.entries(codes).map(([partition, errorCode]) => ({ partition: Number(partition), errorCode })) }],
})

/** No answer: the client stops waiting after its request timeout. */
const silence = (): Promise<never> => new Promise((_, reject) => setTimeout(() => reject(new Error('timeout')), 15_000))

/** A group of one member, whose coordinator answers as each test has it. */
class Group implements AsyncDisposable {
  readonly time = new VirtualTime()
  readonly requests: Request[] = []
  generation = 1
  lost = 0
  /** Answers to heartbeats, by default at once and well. */
  heartbeat: () => Promise<number> = () => Promise.resolve(0)
  /** Answers to heartbeats that are sent while a join waits. */
  heartbeatWhileJoining: () => Promise<number> = () => silence()
  join: () => Promise<void> = () => Promise.resolve()
  commit: () => Promise<Commit> = () => Promise.resolve(commitAnswer({ 0: 0 }))
  readonly membership: Membership

  constructor() {
    const cluster = {
      log: { debug() {}, info() {}, warn() {}, error() {} },
      want: () => undefined,
      refresh: () => Promise.resolve(),
      partitionCount: () => 2,
      coordinator: () => Promise.resolve(1),
      group: (_: number, api: string, args: object) => this.#answer(api, args),
      raw: async (_: number, api: string, args: object) => {
        this.requests.push({ api, args, at: this.time.now })
        if (api === 'Heartbeat') return { errorCode: await this.heartbeatWhileJoining() }
        return api === 'OffsetCommit' ? this.commit() : {}
      },
    }
    const options = { group: 'g', topics: [TOPIC], sessionTimeoutMs: SESSION_MS, rebalanceTimeoutMs: 60_000, heartbeatMs: 1000 }
    const owner = { owned: () => [0, 1], assigned: () => Promise.resolve(false), lost: () => void (this.lost += 1), fatal: (error: Error) => assert.fail(error) }
    this.membership = new Membership(cluster as unknown as Cluster, options, owner)
  }

  async #answer(api: string, args: object): Promise<unknown> {
    this.requests.push({ api, args, at: this.time.now })
    if (api === 'JoinGroup') {
      await this.join()
      const memberMetadata = MemberMetadata.encode({ version: 1, topics: [TOPIC], userData: Buffer.from(JSON.stringify({ owned: [], generation: -1 })) })
      return { generationId: this.generation, leaderId: 'm', memberId: 'm', members: [{ memberId: 'm', memberMetadata }] }
    }
    if (api === 'SyncGroup') return { memberAssignment: MemberAssignment.encode({ version: 1, assignment: { [TOPIC]: [0, 1] }, userData: Buffer.alloc(0) }) }
    const code = await this.heartbeat()
    if (code !== 0) throw createErrorFromCode(code)
    return {}
  }

  async joined(): Promise<void> {
    const before = this.membership.generations
    for (let waited = 0; this.membership.generations === before; waited += 100) {
      assert.ok(waited < 60_000, 'it joins')
      await this.time.pass(100)
    }
  }

  sent(api: string): Request[] {
    return this.requests.filter((request) => request.api === api)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stopped = this.membership.stop()
    await this.time.pass(20_000)
    await stopped
    this.time[Symbol.dispose]()
  }
}

test('given a commit of an earlier generation, when its refusal comes, then the present membership is left alone', async () => {
  await using group = new Group()
  group.membership.start()
  await group.joined()
  const late = Promise.withResolvers<Commit>()
  group.commit = () => late.promise
  const committing = group.membership.commit([{ topic: TOPIC, partition: 0, offset: 5n }])
  group.generation = 2
  group.heartbeat = () => Promise.resolve(group.membership.generations === 1 ? REBALANCE_IN_PROGRESS : 0)
  await group.joined()
  late.resolve(commitAnswer({ 0: ILLEGAL_GENERATION }))
  await assert.rejects(committing, { code: 'KAFKA_FENCED' })
  await group.time.pass(5000)
  assert.deepEqual({ lost: group.lost, joins: group.sent('JoinGroup').length }, { lost: 0, joins: 2 })
})

test('given a commit of the present generation, when it is refused, then everything is lost and the member joins anew', async () => {
  await using group = new Group()
  group.membership.start()
  await group.joined()
  group.commit = () => Promise.resolve(commitAnswer({ 0: ILLEGAL_GENERATION }))
  await assert.rejects(group.membership.commit([{ topic: TOPIC, partition: 0, offset: 5n }]), { code: 'KAFKA_FENCED' })
  await group.joined()
  assert.deepEqual({ lost: group.lost, joins: group.sent('JoinGroup').length }, { lost: 1, joins: 2 })
})

test('given a partition that the answer to a commit leaves out, then its offset is not taken for committed', async () => {
  await using group = new Group()
  group.membership.start()
  await group.joined()
  group.commit = () => Promise.resolve(commitAnswer({ 1: 0 }))
  const offsets = [0, 1].map((partition) => ({ topic: TOPIC, partition, offset: 5n }))
  assert.deepEqual(await group.membership.commit(offsets), [offsets[1]])
})

test('given no generation, then nothing is committed: Kafka would take it from anybody while the group is empty', async () => {
  await using group = new Group()
  assert.deepEqual(await group.membership.commit([{ topic: TOPIC, partition: 0, offset: 5n }]), [])
  assert.deepEqual(group.sent('OffsetCommit'), [])
})

test('given a heartbeat whose answer came late, then the membership is certain for the session timeout from its sending on', async () => {
  await using group = new Group()
  group.membership.start()
  await group.joined()
  group.heartbeat = () => new Promise((resolve) => setTimeout(() => resolve(0), 10_000))
  await group.time.pass(11_500)
  group.heartbeat = () => silence()
  const [first] = group.sent('Heartbeat')
  await group.time.pass(first!.at + SESSION_MS - group.time.now - 100)
  assert.equal(group.membership.confirmed, true)
  await group.time.pass(200)
  assert.equal(group.membership.confirmed, false, 'the coordinator may have dealt the partitions to another member')
})

test('given a join that waits for others, then the membership is certain as long as heartbeats are answered, and no longer', async () => {
  await using group = new Group()
  group.membership.start()
  await group.joined()
  const others = Promise.withResolvers<void>()
  group.join = () => others.promise
  group.heartbeat = () => Promise.resolve(REBALANCE_IN_PROGRESS)
  group.heartbeatWhileJoining = () => Promise.resolve(REBALANCE_IN_PROGRESS)
  await group.time.pass(40_000)
  assert.equal(group.membership.confirmed, true)
  group.heartbeatWhileJoining = () => silence()
  await group.time.pass(SESSION_MS + 1000)
  assert.equal(group.membership.confirmed, false)
  group.generation = 2
  group.heartbeat = () => Promise.resolve(0)
  others.resolve()
  await group.joined()
  assert.equal(group.membership.confirmed, true)
})
