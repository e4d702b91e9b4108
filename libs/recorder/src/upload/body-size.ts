import { MAX_POLLING_BODY_BYTES } from '@longtake/contracts/polling'

/** Room for the head. */
const LARGEST_BYTES = MAX_POLLING_BODY_BYTES - 1024
/** On 10 kbit/s it takes 6 s: gateways give up on requests that take longer than 10 s for less than 160 kB. */
const SMALLEST_BYTES = 8 * 1024
const FIRST_BYTES = 64 * 1024
const QUICK_MS = 700
const SLOW_MS = 3000

/** How much one request should carry, so that it takes a second or two on the line as it is. */
export class BodySize {
  #bytes = FIRST_BYTES

  get bytes(): number {
    return this.#bytes
  }

  /** @param sent bytes of a request that was answered @param ms that it took */
  answered(sent: number, ms: number): void {
    if (ms > SLOW_MS) this.#bytes = Math.max(SMALLEST_BYTES, Math.floor(this.#bytes / 2))
    else if (ms < QUICK_MS && sent >= this.#bytes) this.#bytes = Math.min(LARGEST_BYTES, this.#bytes * 2)
  }

  failed(): void {
    this.#bytes = Math.max(SMALLEST_BYTES, Math.floor(this.#bytes / 4))
  }
}
