/** So many holders are asked at once to give memory back; each that does lets another one be asked. */
const ASKED_AT_ONCE = 8

/** Memory that one holder takes of a budget. */
export class BudgetAccount {
  readonly #changed: (account: BudgetAccount, by: number) => void
  /** Asks the holder to give memory back soon. */
  readonly ask: () => void
  #bytes = 0

  /** Made by `ByteBudget.open`. */
  constructor(ask: () => void, changed: (account: BudgetAccount, by: number) => void) {
    this.ask = ask
    this.#changed = changed
  }

  get bytes(): number {
    return this.#bytes
  }

  change(by: number): void {
    if (by === 0) return
    this.#bytes += by
    this.#changed(this, by)
  }
}

/**
 * Memory of a whole process for what was received and is in no commit yet. Above its limit the largest holders are asked to give
 * theirs back. Every operation costs the same however many holders there are.
 */
export class ByteBudget {
  readonly limit: number
  #used = 0
  readonly #listeners = new Set<() => void>()
  /** Holders that were not asked since they last gave something back, by the binary magnitude of what they hold. */
  readonly #bySize = Array.from({ length: 54 }, () => new Set<BudgetAccount>())

  constructor(limit: number) {
    this.limit = limit
  }

  get used(): number {
    return this.#used
  }

  get exceeded(): boolean {
    return this.#used > this.limit
  }

  /** Whether less than half is used: then nobody has to hurry. */
  get roomy(): boolean {
    return 2 * this.#used < this.limit
  }

  /** @param ask asks the holder to give memory back soon */
  open(ask: () => void): BudgetAccount {
    return new BudgetAccount(ask, (account, by) => this.#change(account, by))
  }

  /** Calls back whenever it begins or ends to be exceeded; returns the end of that. */
  onTurn(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #change(account: BudgetAccount, by: number): void {
    const before = this.exceeded
    this.#used += by
    const wasAsked = !this.#bySize[magnitude(account.bytes - by)]!.delete(account) && account.bytes !== by
    if (account.bytes > 0 && (by < 0 || !wasAsked)) this.#bySize[magnitude(account.bytes)]!.add(account)
    if (this.exceeded && !before) this.#askLargest(ASKED_AT_ONCE)
    else if (this.exceeded && by < 0) this.#askLargest(1)
    if (before !== this.exceeded) for (const listener of this.#listeners) listener()
  }

  #askLargest(count: number): void {
    for (let size = this.#bySize.length - 1, left = count; size >= 0 && left > 0; size--) {
      const accounts = this.#bySize[size]!
      for (const account of accounts) {
        if (left-- === 0) return
        accounts.delete(account)
        account.ask()
      }
    }
  }
}

/** Floor of the binary logarithm; 0 for nothing. */
const magnitude = (bytes: number): number => (bytes < 1 ? 0 : Math.floor(Math.log2(bytes)))
