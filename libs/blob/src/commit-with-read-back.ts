import { setTimeout as delay } from 'node:timers/promises'
import type { LongtakeError } from '@longtake/contracts'
import type { BlobProperties, BlobStore, Call, Condition, Description } from './store.ts'

/** Name of the metadata entry that holds a commit's own id. */
export const COMMIT_ID = 'commitid'

export type ReadBackOutcome =
  /** `readBack`: the answer was lost, the blob said so. */
  | { outcome: 'committed'; etag: string; readBack: boolean }
  /** Another writer's version is there (null: the blob is gone). */
  | { outcome: 'conflict'; found: BlobProperties | null }
  | { outcome: 'invalid-block-list'; found: BlobProperties | null }
  | { outcome: 'held' }
  | { outcome: 'leased' }
  /** Still undecided after all tries, or the blob cannot be read: it may have happened, or may yet. */
  | { outcome: 'unknown'; cause: LongtakeError }

/**
 * Commits, and finds out what became of a commit whose answer was lost, by the id in the blob's metadata. As long as
 * the blob is what the condition asks for, an undecided commit is sent again, unchanged: whichever of the tries Azure
 * executes first makes the others fail their condition, so it takes effect at most once.
 * @param options `metadata` must have a `commitid` that no other commit ever has; `pause` waits that many milliseconds
 *   between tries, by default with a timer that the signal ends
 */
export async function commitWithReadBack(
  store: BlobStore,
  blob: string,
  blockIds: readonly string[],
  options: Condition & Description & Call & { tries?: number; retryDelayMs?: number; pause?: (ms: number) => Promise<void> },
): Promise<ReadBackOutcome> {
  const { tries = 4, retryDelayMs = 500, signal } = options
  const { pause = async (ms: number) => delay(ms, undefined, signal ? { signal } : {}) } = options
  const commitId = options.metadata[COMMIT_ID]
  if (!commitId) throw new TypeError(`a commit needs its id in metadata.${COMMIT_ID}`)
  for (let attempt = 1; ; attempt++) {
    const answer = await store.commitBlockList(blob, blockIds, options)
    if (answer.outcome === 'committed') return { ...answer, readBack: false }
    if (answer.outcome === 'held' || answer.outcome === 'leased') return answer
    const found = await store.properties(blob, { signal })
    if (found?.metadata[COMMIT_ID] === commitId) return { outcome: 'committed', etag: found.etag, readBack: true }
    if (answer.outcome !== 'unknown') return { outcome: answer.outcome, found }
    if (!isAsBefore(found, options)) return { outcome: 'conflict', found }
    if (attempt >= tries) return answer
    await pause(retryDelayMs * attempt)
  }
}

function isAsBefore(found: BlobProperties | null, { ifMatch }: Condition): boolean {
  return ifMatch === undefined ? found === null : found?.etag === ifMatch
}

