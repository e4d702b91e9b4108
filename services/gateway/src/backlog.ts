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

/** Ends of the log are remembered so often. */
const REMEMBER_EVERY_MS = 60_000

/**
 * What the log holds beside the records that it keeps by design once they are committed, for where the progress of the group
 * is not known: its start is where the group was `keptMs` ago, so what it held then from there on is what was not committed.
 * Before it has watched for so long, and where truncation fails, that is too much, never too little. Times are of a clock that
 * is never set.
 */
export class LogHistory {
  readonly #keptMs: number
  /** By age, the oldest first: the newest that is `keptMs` old, and younger ones. */
  #ends: { readonly at: number; readonly end: bigint }[] = []

  /** @param keptMs how long committed records stay in the log */
  constructor(keptMs: number) {
    this.#keptMs = keptMs
  }

  /** The log was seen with these ends of its partitions. */
  saw(partitions: readonly { readonly end: bigint }[], now: number): void {
    const last = this.#ends.at(-1)
    if (last !== undefined && now - last.at < REMEMBER_EVERY_MS) return
    this.#ends.push({ at: now, end: sum(partitions.map(({ end }) => end)) })
    const isOld = ({ at }: { at: number }): boolean => now - at >= this.#keptMs
    while (this.#ends[1] !== undefined && isOld(this.#ends[1])) this.#ends.shift()
  }

  /** How many records that were there `keptMs` ago, or at the first look, still are. Call `saw` first. */
  overdueRecords(partitions: readonly { readonly start: bigint }[]): number {
    const [oldest] = this.#ends
    return oldest === undefined ? 0 : Math.max(0, Number(oldest.end - sum(partitions.map(({ start }) => start))))
  }
}

const sum = (numbers: readonly bigint[]): bigint => numbers.reduce((total, number) => total + number, 0n)
