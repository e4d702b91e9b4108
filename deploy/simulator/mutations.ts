import { planOf, SMALL } from './plan.ts'
import { simulate } from './simulate.ts'

/**
 * Lies of the simulated surroundings, each of which breaks a promise whatever the services do: the oracle must find
 * them. They test the simulator as faults test the product.
 */
export const MUTATIONS = {
  'early-ack': 'a broker acknowledges one batch in twenty without keeping it',
  'early-offset': 'a committed offset of block-writer is that of the end of the log',
  'other-bytes': 'a page sends other bytes, with their digest, than it recorded',
  'damaged-block': 'the storage changes a byte of each large block',
  'dropped-pending': 'the storage confirms pending chunks that it does not keep',
  'undeleted': 'the storage confirms deletions and keeps the blobs',
} as const

export type Mutation = keyof typeof MUTATIONS

/**
 * The first seed that finds a mutation.
 * @returns null where none of `seeds` seeds from `first` on does
 */
async function firstFind(mutation: Mutation, first: number, seeds: number) {
  for (let seed = first; seed < first + seeds; seed += 1) {
    const [violation] = (await simulate(planOf(seed, SMALL), { mutation })).violations
    if (violation !== undefined) return { seed, violation }
  }
  return null
}

/** Prints which seed finds each mutation. @returns how many are not found */
export async function tryMutations(first: number, seeds: number): Promise<number> {
  let missed = 0
  for (const [name, what] of Object.entries(MUTATIONS)) {
    const found = await firstFind(name as Mutation, first, seeds)
    if (found === null) missed += 1
    const result = found === null ? `not found in ${seeds} seeds` : `seed ${found.seed}: ${found.violation.promise}`
    console.log(`${name.padEnd(16)} ${result.padEnd(40)} ${what}`)
  }
  return missed
}
