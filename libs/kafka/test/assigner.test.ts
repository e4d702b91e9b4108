import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assignPartitions, type Member } from '../src/consumer/assigner.ts'

/** A group seen from outside: who holds what, by member. */
type Holdings = Map<string, number[]>

const membersOf = (holdings: Holdings, generation: number): Member[] => [...holdings].map(([id, owned]) => ({ id, owned, generation }))

/** Joins until nobody has to give anything up, as members do; returns every state in between. */
function settle(holdings: Holdings, partitions: number): Holdings[] {
  const states: Holdings[] = []
  let present = holdings
  for (let generation = 1; ; generation += 1) {
    assert.ok(generation < 5, 'the group does not come to rest')
    const dealt = assignPartitions(membersOf(present, generation), partitions)
    const gaveUp = [...present].some(([id, owned]) => owned.some((partition) => !dealt.get(id)!.includes(partition)))
    present = dealt
    states.push(present)
    if (!gaveUp) return states
  }
}

const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 9 })
const counts = fc.integer({ min: 0, max: 40 })
/** Some of the partitions, dealt at random, as crashes and restarts may leave a group. */
const anyHoldings = fc.record({ ids: names, partitions: counts }).chain(({ ids, partitions }) =>
  fc.array(fc.option(fc.constantFrom(...ids), { nil: undefined }), { minLength: partitions, maxLength: partitions }).map((holders) => {
    const holdings: Holdings = new Map(ids.map((id) => [id, []]))
    holders.forEach((id, partition) => id !== undefined && holdings.get(id)!.push(partition))
    return { holdings, partitions }
  }),
)

test('the group comes to rest with every partition in one member and counts that differ by one at most', () => {
  fc.assert(
    fc.property(anyHoldings, ({ holdings, partitions }) => {
      const rest = settle(holdings, partitions).at(-1)!
      assert.deepEqual(
        [...rest.values()].flat().toSorted((a, b) => a - b),
        Array.from({ length: partitions }, (_, partition) => partition),
      )
      const sizes = [...rest.values()].map(({ length }) => length)
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1)
    }),
  )
})

test('a partition is never dealt to one member while another holds it', () => {
  fc.assert(
    fc.property(anyHoldings, ({ holdings, partitions }) => {
      let before = holdings
      for (const after of settle(holdings, partitions)) {
        for (const [id, owned] of after) {
          for (const partition of owned) {
            const holder = [...before].find(([, held]) => held.includes(partition))?.[0]
            assert.ok(holder === undefined || holder === id, `${partition} went from ${holder} straight to ${id}`)
          }
        }
        before = after
      }
    }),
  )
})

test('no more moves than evenness needs', () => {
  fc.assert(
    fc.property(anyHoldings, ({ holdings, partitions }) => {
      const rest = settle(holdings, partitions).at(-1)!
      const kept = [...holdings].reduce((sum, [id, owned]) => sum + owned.filter((partition) => rest.get(id)!.includes(partition)).length, 0)
      const share = Math.floor(partitions / holdings.size)
      const above = partitions % holdings.size
      const sizes = [...holdings.values()].map(({ length }) => length).toSorted((a, b) => b - a)
      const most = sizes.reduce((sum, size, rank) => sum + Math.min(size, rank < above ? share + 1 : share), 0)
      assert.equal(kept, most)
    }),
  )
})

test('a group at rest stays as it is', () => {
  fc.assert(
    fc.property(anyHoldings, ({ holdings, partitions }) => {
      const rest = settle(holdings, partitions).at(-1)!
      assert.deepEqual(assignPartitions(membersOf(rest, 9), partitions), rest)
    }),
  )
})

test('the order in which members are listed does not matter', () => {
  fc.assert(
    fc.property(
      anyHoldings.chain(({ holdings, partitions }) => fc.record({ members: fc.constant(membersOf(holdings, 1)), shuffled: fc.shuffledSubarray(membersOf(holdings, 1), { minLength: holdings.size }), partitions: fc.constant(partitions) })),
      ({ members, shuffled, partitions }) => {
        assert.deepEqual(assignPartitions(shuffled, partitions), assignPartitions(members, partitions))
      },
    ),
  )
})

test('of two claims the later generation counts, and the older claimant gets nothing of it before it has let go', () => {
  const dealt = assignPartitions(
    [
      { id: 'awake', owned: [0, 1], generation: 7 },
      { id: 'zombie', owned: [0, 1], generation: 5 },
    ],
    2,
  )
  assert.deepEqual(dealt.get('zombie'), [])
  assert.equal(dealt.get('awake')!.length, 1)
})

test('claims to partitions that do not exist are nothing', () => {
  assert.deepEqual(assignPartitions([{ id: 'a', owned: [-1, 7], generation: 1 }], 2).get('a'), [0, 1])
})
