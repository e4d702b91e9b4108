/** What a Metadata answer says of one topic. */
export interface TopicMetadata {
  readonly topic: string
  /** Changes when a topic is deleted and made anew. */
  readonly topicId?: string
  readonly partitionMetadata: readonly { readonly partitionId: number; readonly leader: number; readonly leaderEpoch?: number }[]
}

interface Leader {
  /** Undefined while there is none. */
  readonly nodeId: number | undefined
  readonly epoch: number | undefined
}

/**
 * Who leads each partition, as of the latest leader epoch that was heard of: a broker that lags behind, or was cut off from the
 * others, still names leaders that were deposed (KIP-320). Pure.
 */
export class Leaders {
  readonly #topics = new Map<string, { id: string | undefined; leaders: (Leader | undefined)[] }>()

  /** Undefined before anything was heard of the topic. */
  partitionCount(topic: string): number | undefined {
    return this.#topics.get(topic)?.leaders.length
  }

  /** Undefined when it is not known, or there is none. */
  leader(topic: string, partition: number): number | undefined {
    return this.#topics.get(topic)?.leaders[partition]?.nodeId
  }

  /** Undefined when it is not known. */
  leaderEpoch(topic: string, partition: number): number | undefined {
    return this.#topics.get(topic)?.leaders[partition]?.epoch
  }

  /** Takes what is not older than what is known. */
  update({ topic, topicId, partitionMetadata }: TopicMetadata): void {
    const known = this.#topics.get(topic)
    const leaders = known !== undefined && known.id === topicId ? known.leaders : []
    for (const { partitionId, leader, leaderEpoch } of partitionMetadata) {
      const before = leaders[partitionId]?.epoch
      const epoch = leaderEpoch !== undefined && leaderEpoch >= 0 ? leaderEpoch : undefined
      if (before !== undefined && epoch !== undefined && epoch < before) continue
      leaders[partitionId] = { nodeId: leader < 0 ? undefined : leader, epoch: epoch ?? before }
    }
    this.#topics.set(topic, { id: topicId, leaders })
  }
}
