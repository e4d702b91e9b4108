import type { Random } from '@longtake/testkit'
import type { VirtualTime } from '../world/virtual-time.ts'
import { ERRORS } from './wire.ts'

export interface JoinRequest {
  readonly group: string
  readonly member: string
  readonly clientId: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly protocol: string
  readonly metadata: Buffer
}

export type JoinAnswer =
  | { error: number; member: string }
  | {
      error: 0
      generation: number
      protocol: string
      leader: string
      member: string
      members: { id: string; metadata: Buffer }[]
    }

export interface SyncRequest {
  readonly group: string
  readonly generation: number
  readonly member: string
  readonly assignments: readonly { member: string; assignment: Buffer }[]
}

interface Member {
  readonly id: string
  request: JoinRequest
  assignment: Buffer
  expiresAt: number
  joining: ((answer: JoinAnswer) => void) | null
  syncing: ((answer: { error: number; assignment: Buffer }) => void) | null
}

interface Group {
  readonly name: string
  coordinator: number
  loadedAt: number
  state: 'empty' | 'joining' | 'syncing' | 'stable'
  generation: number
  leader: string
  members: Map<string, Member>
  /** As the coordinator has written it: what another one finds. */
  written: { generation: number; leader: string; members: readonly Pick<Member, 'id' | 'request' | 'assignment'>[] }
  readonly offered: Set<string>
  readonly offsets: Map<string, { offset: number; metadata: string | null }>
  cancelJoin: () => void
}

export interface CommitSeen {
  group: string
  topic: string
  partition: number
  offset: number
  before: number
}

const NOTHING = Buffer.alloc(0)
const CHECK_MEMBERS_MS = 500

/** Consumer groups by the classic protocol (Kafka's GroupCoordinator): generations, rebalances, offsets. */
export class GroupCoordinator {
  readonly #time: VirtualTime
  readonly #random: Random
  readonly #brokers: number
  readonly #onCommit: (commit: CommitSeen) => void
  readonly #offsetOf: (commit: { topic: string; partition: number; offset: number }) => number
  readonly #groups = new Map<string, Group>()
  #members = 0

  constructor({
    time,
    random,
    brokers,
    onCommit,
    offsetOf,
  }: {
    time: VirtualTime
    random: Random
    brokers: number
    onCommit: (commit: CommitSeen) => void
    offsetOf: (commit: { topic: string; partition: number; offset: number }) => number
  }) {
    this.#time = time
    this.#random = random
    this.#brokers = brokers
    this.#onCommit = onCommit
    this.#offsetOf = offsetOf
  }

  coordinatorOf(group: string): number {
    return this.#group(group).coordinator
  }

  /** What the group committed; undefined without a commit. */
  committed(group: string, topic: string, partition: number): number | undefined {
    return this.#group(group).offsets.get(`${topic}/${partition}`)?.offset
  }

  /** What a member has written beside its commit. */
  metadataOf(group: string, topic: string, partition: number): string | null {
    return this.#group(group).offsets.get(`${topic}/${partition}`)?.metadata ?? ''
  }

  /** An error that any request to this broker about the group meets first. */
  fault(name: string, broker: number): number {
    const group = this.#group(name)
    if (group.coordinator !== broker) return ERRORS.notCoordinator
    return this.#time.now < group.loadedAt ? ERRORS.coordinatorLoading : ERRORS.none
  }

  /** The groups of a broker go to another one, which loads what was written of them: members in the last generation. */
  moveAway(from: number, able: readonly number[]): void {
    for (const group of this.#groups.values())
      if (group.coordinator === from) this.move(group.name, this.#random.pick(able))
  }

  move(name: string, to: number): void {
    const group = this.#group(name)
    if (group.coordinator === to) return
    group.coordinator = to
    group.loadedAt = this.#time.now + this.#random.between(0, 1500)
    group.cancelJoin()
    for (const member of group.members.values()) {
      member.joining?.({ error: ERRORS.notCoordinator, member: member.id })
      member.syncing?.({ error: ERRORS.notCoordinator, assignment: NOTHING })
    }
    const { generation, leader, members } = group.written
    const known = members.map((of): Member => ({
      ...of,
      expiresAt: group.loadedAt + of.request.sessionTimeoutMs,
      joining: null,
      syncing: null,
    }))
    Object.assign(group, {
      generation,
      leader,
      members: new Map(known.map((member) => [member.id, member])),
      state: known.length === 0 ? 'empty' : 'stable',
    })
    group.offered.clear()
  }

  groups(): string[] {
    return [...this.#groups.keys()]
  }

  join(request: JoinRequest, answer: (answer: JoinAnswer) => void): void {
    const group = this.#group(request.group)
    if (request.member === '') {
      const id = `${request.clientId}-${(this.#members += 1)}`
      group.offered.add(id)
      return answer({ error: ERRORS.memberIdRequired, member: id })
    }
    let member = group.members.get(request.member)
    if (member === undefined) {
      if (!group.offered.delete(request.member)) return answer({ error: ERRORS.unknownMember, member: request.member })
      member = { id: request.member, request, assignment: NOTHING, expiresAt: 0, joining: null, syncing: null }
      group.members.set(member.id, member)
      this.#prepare(group)
    } else {
      const changed = !member.request.metadata.equals(request.metadata)
      member.request = request
      const keeps =
        (group.state === 'stable' && !changed && group.leader !== member.id) || (group.state === 'syncing' && !changed)
      if (keeps) return answer(this.#joined(group, member))
      this.#prepare(group)
    }
    member.joining = answer
    this.#touch(member)
    this.#completeJoin(group)
  }

  sync(
    { group: name, generation, member: id, assignments }: SyncRequest,
    answer: (answer: { error: number; assignment: Buffer }) => void,
  ): void {
    const group = this.#group(name)
    const member = group.members.get(id)
    const error = this.#memberFault(group, member, generation)
    if (member === undefined || error !== 0) return answer({ error, assignment: NOTHING })
    this.#touch(member)
    switch (group.state) {
      case 'joining':
      case 'empty':
        return answer({ error: ERRORS.rebalanceInProgress, assignment: NOTHING })
      case 'stable':
        return answer({ error: 0, assignment: member.assignment })
      case 'syncing':
        member.syncing = answer
        if (id !== group.leader) return
        group.state = 'stable'
        for (const of of group.members.values()) {
          of.assignment = assignments.find((dealt) => dealt.member === of.id)?.assignment ?? NOTHING
          of.syncing?.({ error: 0, assignment: of.assignment })
          of.syncing = null
          this.#touch(of)
        }
        this.#write(group)
        return
      default:
        group.state satisfies never
    }
  }

  heartbeat(name: string, generation: number, id: string): number {
    const group = this.#group(name)
    const member = group.members.get(id)
    const error = this.#memberFault(group, member, generation)
    if (member === undefined || error !== 0) return error
    this.#touch(member)
    return group.state === 'joining' ? ERRORS.rebalanceInProgress : ERRORS.none
  }

  leave(name: string, id: string): number {
    const group = this.#group(name)
    const member = group.members.get(id)
    if (member === undefined) return ERRORS.unknownMember
    this.#remove(group, member)
    return ERRORS.none
  }

  commit(
    name: string,
    generation: number,
    id: string,
    offsets: readonly { topic: string; partition: number; offset: number; metadata: string | null }[],
  ): number {
    const group = this.#group(name)
    const isOutsider = generation < 0 && group.members.size === 0
    const error = isOutsider ? ERRORS.none : this.#memberFault(group, group.members.get(id), generation)
    if (error !== 0) return error
    if (group.state === 'syncing') return ERRORS.rebalanceInProgress
    for (const { topic, partition, metadata, ...asked } of offsets) {
      const offset = this.#offsetOf({ topic, partition, offset: asked.offset })
      const key = `${topic}/${partition}`
      this.#onCommit({ group: name, topic, partition, offset, before: group.offsets.get(key)?.offset ?? 0 })
      group.offsets.set(key, { offset, metadata })
    }
    return ERRORS.none
  }

  #group(name: string): Group {
    let group = this.#groups.get(name)
    if (group === undefined) {
      const coordinator = this.#random.between(0, this.#brokers - 1)
      group = {
        name,
        coordinator,
        loadedAt: 0,
        state: 'empty',
        generation: 0,
        leader: '',
        members: new Map(),
        written: { generation: 0, leader: '', members: [] },
        offered: new Set(),
        offsets: new Map(),
        cancelJoin: () => undefined,
      }
      this.#groups.set(name, group)
      this.#watch(group)
    }
    return group
  }

  /** Members whose session timed out leave. */
  #watch(group: Group): void {
    this.#time.after(CHECK_MEMBERS_MS, () => {
      if (this.#time.now >= group.loadedAt) {
        for (const member of group.members.values()) {
          if (member.joining === null && member.syncing === null && member.expiresAt <= this.#time.now)
            this.#remove(group, member)
        }
      }
      this.#watch(group)
    })
  }

  #memberFault(group: Group, member: Member | undefined, generation: number): number {
    if (member === undefined) return ERRORS.unknownMember
    return generation === group.generation ? ERRORS.none : ERRORS.illegalGeneration
  }

  #touch(member: Member): void {
    member.expiresAt = this.#time.now + member.request.sessionTimeoutMs
  }

  #remove(group: Group, member: Member): void {
    group.members.delete(member.id)
    member.joining?.({ error: ERRORS.unknownMember, member: member.id })
    member.syncing?.({ error: ERRORS.unknownMember, assignment: NOTHING })
    if (group.members.size === 0 && group.state !== 'joining') group.state = 'empty'
    else if (group.state !== 'joining') this.#prepare(group)
    this.#completeJoin(group)
  }

  /** A rebalance begins: everyone must join again in time. */
  #prepare(group: Group): void {
    if (group.state === 'joining') return
    const isFirst = group.state === 'empty'
    group.state = 'joining'
    for (const member of group.members.values()) {
      member.syncing?.({ error: ERRORS.rebalanceInProgress, assignment: NOTHING })
      member.syncing = null
    }
    const longestMs = Math.max(0, ...[...group.members.values()].map(({ request }) => request.rebalanceTimeoutMs))
    // The first members wait a little for others.
    const waitMs = isFirst ? this.#random.between(0, 300) : longestMs
    group.cancelJoin = this.#time.after(waitMs, () => this.#completeJoin(group, true))
    if (isFirst) group.leader = 'none yet'
  }

  #completeJoin(group: Group, isTimeUp = false): void {
    if (group.state !== 'joining') return
    const members = [...group.members.values()]
    const waitsForFirst = group.leader === 'none yet'
    if (!isTimeUp && (waitsForFirst || members.some(({ joining }) => joining === null))) return
    group.cancelJoin()
    for (const member of members) if (member.joining === null) group.members.delete(member.id)
    group.generation += 1
    if (group.members.size === 0) {
      group.state = 'empty'
      this.#write(group)
      return
    }
    if (!group.members.has(group.leader)) group.leader = group.members.keys().next().value!
    group.state = 'syncing'
    for (const member of group.members.values()) {
      const { joining } = member
      member.joining = null
      this.#touch(member)
      joining?.(this.#joined(group, member))
    }
    const { generation } = group
    const longestMs = Math.max(...[...group.members.values()].map(({ request }) => request.rebalanceTimeoutMs))
    // Who does not sync in time is no member any more.
    this.#time.after(longestMs, () => {
      if (group.generation !== generation || group.state !== 'syncing') return
      const late = [...group.members.values()].filter(({ syncing }) => syncing === null)
      for (const member of late) this.#remove(group, member)
    })
  }

  #write(group: Group): void {
    const { generation, leader } = group
    group.written = {
      generation,
      leader,
      members: [...group.members.values()].map(({ id, request, assignment }) => ({ id, request, assignment })),
    }
  }

  #joined(group: Group, { id, request }: Member): JoinAnswer {
    const members =
      id === group.leader ? [...group.members.values()].map((of) => ({ id: of.id, metadata: of.request.metadata })) : []
    return {
      error: 0,
      generation: group.generation,
      protocol: request.protocol,
      leader: group.leader,
      member: id,
      members,
    }
  }
}
