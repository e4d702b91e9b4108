import { nextBacklogLevel, RecordSizes, type BacklogLevel } from './backlog.ts'

/** What is known of the backlog, and what follows. No I/O; times are milliseconds of a clock that is never set. */
export class Backlog {
  readonly #limitBytes: number
  readonly #recordSizes = new RecordSizes()
  #level: BacklogLevel = 'open'
  #bytes = 0
  #seenAt: number
  /** Why it is only an estimate, or could not be seen. */
  #fault: string | undefined
  /** What this gateway has had acknowledged in recordings.chunks since the last look. */
  #sentBytes = 0

  constructor(limitBytes: number, now: number) {
    this.#limitBytes = limitBytes
    this.#seenAt = now
  }

  get level(): BacklogLevel {
    return this.#level
  }

  get bytes(): number {
    return this.#bytes
  }

  /** A record of so many bytes goes to recordings.chunks. */
  sending(bytes: number): void {
    this.#recordSizes.add(bytes)
  }

  /** Kafka has it. */
  acknowledged(bytes: number): void {
    this.#sentBytes += bytes
  }

  /**
   * So many records of recordings.chunks are not committed by block-writer.
   * @param fault why that is only an estimate
   */
  saw(records: number, now: number, fault?: string): void {
    this.#seenAt = now
    this.#is(Math.round(records * this.#recordSizes.mean), fault)
  }

  /**
   * It could not be seen: what this gateway has sent meanwhile counts as not committed, so that the limit holds. A level stays:
   * whoever may write to the log may ask for its extent, so that Kafka acknowledges nothing while that is not answered.
   */
  missed(fault: string): void {
    this.#is(this.#bytes + this.#sentBytes, fault)
  }

  #is(bytes: number, fault: string | undefined): void {
    this.#bytes = bytes
    this.#fault = fault
    this.#sentBytes = 0
    this.#level = nextBacklogLevel(this.#level, bytes, this.#limitBytes)
  }

  /** Undefined while it is known and far from its limit. */
  get reason(): string | undefined {
    if (this.#level === 'open') return this.#fault
    const used = `${Math.round(this.#bytes / 2 ** 20)} of ${Math.round(this.#limitBytes / 2 ** 20)} MiB`
    const consequence = this.#level === 'full' ? 'recorders are sent away and keep their chunks' : 'send windows are closed'
    const estimated = this.#fault === undefined ? '' : `; estimated: ${this.#fault}`
    return `${used} in recordings.chunks are not yet committed: ${consequence}${estimated}`
  }

  /**
   * For readiness. Ready however large it is, since it is that of all gateways, and a refusal names the cause to recorders. Not
   * ready where this gateway has not seen it for `unseenMs`: another one may.
   */
  check(now: number, unseenMs: number): { ready: true; reason?: string } | { ready: false; reason: string } {
    const { reason } = this
    if (reason === undefined) return { ready: true }
    const sinceMs = now - this.#seenAt
    if (sinceMs < unseenMs) return { ready: true, reason }
    return { ready: false, reason: `the backlog of recordings.chunks has not been seen for ${Math.round(sinceMs / 1000)} s: ${reason}` }
  }
}
