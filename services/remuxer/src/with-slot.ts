import { orAborted } from '@longtake/service'
import type { LimitFunction } from 'p-limit'

/**
 * Does the work in one of these slots, which all partitions of the process share. Rejects as soon as the signal aborts
 * while it waits for a slot: the work of another partition may occupy it for an hour. Work that has begun has to end
 * itself with the signal, and is awaited.
 */
export async function withSlot<T>(slots: LimitFunction, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const begun = Promise.withResolvers<void>()
  let hasBegun = false
  const outcome = slots(async () => {
    signal.throwIfAborted()
    hasBegun = true
    begun.resolve()
    return work()
  })
  try {
    await orAborted(Promise.race([begun.promise, outcome]), signal)
  } catch (error) {
    if (!hasBegun) throw error
  }
  return outcome
}
