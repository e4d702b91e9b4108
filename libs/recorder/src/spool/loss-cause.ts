import type { LostCause } from '@longtake/contracts/protocol'

/**
 * What browsers, SQLite and operating systems write of a full disk. `QuotaExceededError` is not all: Chromium fails with `UnknownError` and
 * `…FILE_ERROR_NO_SPACE`, Firefox with `NS_ERROR_FILE_NO_DEVICE_SPACE`, Safari with SQLite's "database or disk is full".
 */
const FULL_DISK = /quota|(^|[^a-z])(no|insufficient|out of).{0,12}space|nospc|(disk|device|storage).{0,9}(full|space)|full.{0,5}disk/i

export type StoreFault = Extract<LostCause, 'quota' | 'store-failed'>

/** Why the browser's store did not take a chunk. That it was cleared is known only of chunks that were in it. */
export const lossCauseOf = (error: unknown): StoreFault =>
  error instanceof Error && FULL_DISK.test(`${error.name} ${error.message}`) ? 'quota' : 'store-failed'
