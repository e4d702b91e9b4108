/** What a member says of itself when it joins. */
export interface Member {
  readonly id: string
  /** Partition numbers it holds; it holds them in every topic. */
  readonly owned: readonly number[]
  /** The generation in which it got them; -1 without any. */
  readonly generation: number
}

/**
 * Deals partition *numbers*, so that one session's records of every topic meet in one member. Counts differ by at most
 * one, as few partitions move as that allows, and a partition that its holder has to give up is dealt to nobody in
 * this round: the holder finishes it and joins again, and only then it goes to the next. So no two members ever hold a
 * partition at a time. Pure and the same whatever the order of the members.
 */
export function assignPartitions(members: readonly Member[], partitions: number): Map<string, number[]> {
  const sorted = members.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const holders = holdersOf(sorted, partitions)
  const target = balance(sorted, holders, partitions)
  return new Map(
    sorted.map(({ id }) => {
      const dealt = target.get(id) ?? []
      return [id, dealt.filter((partition) => (holders[partition] ?? id) === id)]
    }),
  )
}

/** Who holds each partition: of several claims the one from the latest generation. */
function holdersOf(members: readonly Member[], partitions: number): (string | undefined)[] {
  const holders: (Member | undefined)[] = Array.from({ length: partitions })
  for (const member of members) {
    for (const partition of member.owned) {
      if (partition < 0 || partition >= partitions) continue
      const other = holders[partition]
      if (other === undefined || other.generation < member.generation) holders[partition] = member
    }
  }
  return holders.map((member) => member?.id)
}

function balance(members: readonly Member[], holders: readonly (string | undefined)[], partitions: number): Map<string, number[]> {
  const held = new Map<string, number[]>(members.map(({ id }) => [id, []]))
  holders.forEach((id, partition) => {
    if (id !== undefined) held.get(id)?.push(partition)
  })
  // Those who hold most get the places above the even share: nothing moves that need not.
  const byHoldings = members.toSorted((a, b) => held.get(b.id)!.length - held.get(a.id)!.length)
  const share = Math.floor(partitions / members.length)
  const above = partitions % members.length
  const quota = new Map(byHoldings.map(({ id }, rank) => [id, rank < above ? share + 1 : share]))
  const target = new Map(members.map(({ id }) => [id, held.get(id)!.slice(0, quota.get(id))]))
  const kept = new Set([...target.values()].flat())
  const free = holders.map((_, partition) => partition).filter((partition) => !kept.has(partition))
  for (const { id } of members) {
    const dealt = target.get(id)!
    dealt.push(...free.splice(0, quota.get(id)! - dealt.length))
    dealt.sort((a, b) => a - b)
  }
  return target
}
