import { orAborted } from '@longtake/service'
import type { LimitFunction } from 'p-limit'

/**
 * Does the work once it has one of these places, which all partitions of the process share. Rejects as soon as the signal
 * aborts while it waits: another partition's work may have the place for an hour. Work that has begun ends itself with
 * the signal, and is waited for.
 */
export async function inPlace<T>(places: LimitFunction, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const begun = Promise.withResolvers<void>()
  let hasBegun = false
  const outcome = places(async () => {
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
