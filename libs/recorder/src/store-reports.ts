import type { RecorderError } from './api.ts'
import { lossCauseOf, type StoreFault } from './spool/loss-cause.ts'

/** A store that fails again sooner has not recovered. */
const FAULT_OVER_MS = 60_000

/** What is reported of a store that does not take chunks: each fault once while it lasts, and the first loss. */
export class StoreReports {
  readonly #report: (event: StoreFault, detail: string) => void
  /** By `performance.now()`: when the store last refused a chunk. */
  #faultAt = -Infinity
  /** What was reported of it. */
  readonly #saidFaults = new Set<StoreFault>()
  #saidLoss = false

  constructor(report: (event: StoreFault, detail: string) => void) {
    this.#report = report
  }

  /** Before anything is lost: what the server does not have is in this page's memory alone. @param fault of the last chunk; null if it was taken */
  see(fault: StoreFault | null): void {
    if (fault === null) return
    const now = performance.now()
    if (now - this.#faultAt > FAULT_OVER_MS) this.#saidFaults.clear()
    if (!this.#saidFaults.has(fault)) this.#report(fault, 'this computer stores nothing more: chunks wait in memory until they are sent')
    this.#saidFaults.add(fault)
    this.#faultAt = now
  }

  /** @param error why a chunk was kept nowhere */
  lose({ cause }: RecorderError): void {
    if (this.#saidLoss) return
    this.#saidLoss = true
    this.#report(lossCauseOf(cause), 'the memory is full, too: what cannot be sent is lost')
  }
}
