/**
 * What is acknowledged and not yet committed by block-writer: open · closing: send windows are shut, so that clients
 * spool what they record · full: chunks and new connections are refused until there is room again.
 */
export type BacklogLevel = 'open' | 'closing' | 'full'

/** Shares of the limit at which a level begins, and below which it ends: apart, so that levels do not flap. */
const CLOSING = { from: 0.8, below: 0.6 }
const FULL = { from: 1, below: 0.9 }

/** @param bytes of the backlog @param limit of it, in bytes */
export function nextBacklogLevel(level: BacklogLevel, bytes: number, limit: number): BacklogLevel {
  const share = bytes / limit
  const isFull = share >= (level === 'full' ? FULL.below : FULL.from)
  if (isFull) return 'full'
  const isClosing = share >= (level === 'open' ? CLOSING.from : CLOSING.below)
  return isClosing ? 'closing' : 'open'
}

/** Stands for what a gateway has sent before it has sent enough: one second of a webcam at 1 Mbit/s is about this much. */
const PRIOR = { records: 50, bytesEach: 64 * 1024 }
/** Older records count for less: half after so many newer ones. */
const HALF_LIFE_RECORDS = 100_000

/**
 * How large a record is on average, learned from those that this gateway sends. Offsets count records, not bytes, and
 * sessions are spread over gateways at random, so what one of them sends stands for all. (DescribeLogDirs has sizes, but
 * needs a right on the whole cluster, is not offered by every Kafka, and counts what is committed and not yet truncated.)
 */
export class RecordSizes {
  #records = PRIOR.records
  #bytes = PRIOR.records * PRIOR.bytesEach

  /** @param bytes of a record with its headers */
  add(bytes: number): void {
    const fading = 1 - Math.LN2 / HALF_LIFE_RECORDS
    this.#records = this.#records * fading + 1
    this.#bytes = this.#bytes * fading + bytes
  }

  /** Bytes of a record. */
  get mean(): number {
    return this.#bytes / this.#records
  }
}

/** Records between what a group has completed and the end, over all partitions. */
export function backlogRecords(progress: readonly { readonly completed: bigint; readonly end: bigint }[]): number {
  return progress.reduce((sum, { completed, end }) => sum + Math.max(0, Number(end - completed)), 0)
}
