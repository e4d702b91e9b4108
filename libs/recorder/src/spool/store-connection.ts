import { RecorderError } from '../api.ts'
import { inTime } from '../in-time.ts'
import { completed } from './indexed-db.ts'
import { openSpoolDatabase, type SpoolDatabase, type SpoolTransaction, type Store } from './spool-database.ts'

/** A store that works takes milliseconds, and seconds on a disk that is busy. */
export const STORE_PATIENCE_MS = 15_000
/** For so long it is left alone after it did not open, or did not take what was to be written. */
export const STORE_REST_MS = 10_000

/**
 * The way to the database, which is opened when it is needed and again when it was taken away. Nobody waits for ever: a
 * transaction that does not end is aborted. Nor does everyone wait in turn: once the store has failed, all hear so at
 * once, while now and then one tries in the background whether it is back.
 */
export class StoreConnection {
  readonly #introduce: (database: SpoolDatabase) => Promise<void>
  #opening: Promise<SpoolDatabase> | null = null
  /** `at`, as `#answeredAt`: by `performance.now()`. */
  #failure: { error: Error; at: number } | null = null
  #answeredAt = 0
  #trying: Promise<void> | null = null

  /** @param introduce writes what a store must know that may be another one, and empty; it ends in time */
  constructor(introduce: (database: SpoolDatabase) => Promise<void>) {
    this.#introduce = introduce
  }

  open(): Promise<SpoolDatabase> {
    if (this.#opening !== null) return this.#opening
    if (this.#failure === null) return this.#keep(this.#open())
    const { error, at } = this.#failure
    if (performance.now() - at >= STORE_REST_MS) this.#trying ??= this.#tryAgain()
    return Promise.reject(error)
  }

  /** One write, with all that `requests` makes; made once more if the store was taken away under it. */
  async write(stores: readonly Store[], durability: IDBTransactionDurability | undefined, requests: (transaction: SpoolTransaction) => void): Promise<void> {
    const work = (database: SpoolDatabase): Promise<void> => writeTo(database, stores, durability, requests)
    const opening = this.open()
    try {
      await this.#judged(opening, work)
    } catch (error) {
      if (isSilence(error) || this.#opening === opening) throw error
      await this.#judged(this.open(), work)
    }
  }

  read<T>(stores: readonly Store[], requests: (transaction: SpoolTransaction) => Promise<T>): Promise<T> {
    return this.#judged(this.open(), (database) => {
      const transaction = database.transaction([...stores], 'readonly')
      return orAbort(transaction, requests(transaction))
    })
  }

  /** Work that does not end in time is the store's fault, unless the store did other work meanwhile. */
  async #judged<T>(opening: Promise<SpoolDatabase>, work: (database: SpoolDatabase) => Promise<T>): Promise<T> {
    const database = await opening
    const begunAt = performance.now()
    try {
      const result = await work(database)
      this.#answeredAt = performance.now()
      return result
    } catch (error) {
      if (isSilence(error) && this.#answeredAt <= begunAt) this.#fail(opening, error)
      if (isClosed(error)) this.#drop(opening, database)
      throw error
    }
  }

  /** Browsers close connections during long sessions, some without an event: the next call opens another one. */
  #drop(opening: Promise<SpoolDatabase>, database: SpoolDatabase): void {
    if (this.#opening === opening) this.#opening = null
    database.close()
  }

  async close(): Promise<void> {
    await this.#trying
    const database = await this.#opening?.catch(() => null)
    this.#opening = null
    database?.close()
  }

  /** The first to come waits for it, and so do all others until it is open. */
  #keep(opening: Promise<SpoolDatabase>): Promise<SpoolDatabase> {
    this.#opening = opening
    opening.catch((error: Error) => this.#fail(opening, error))
    return opening
  }

  async #tryAgain(): Promise<void> {
    try {
      const database = await this.#open()
      this.#opening = Promise.resolve(database)
      this.#failure = null
    } catch (error) {
      this.#failure = { error: error as Error, at: performance.now() }
    } finally {
      this.#trying = null
    }
  }

  async #open(): Promise<SpoolDatabase> {
    let isTaken = false
    const database = await openSpoolDatabase(() => {
      isTaken = true
      this.#opening = null
    })
    try {
      await this.#introduce(database)
      if (isTaken) throw new DOMException('the store was taken away', 'InvalidStateError')
      return database
    } catch (error) {
      database.close()
      throw error
    }
  }

  #fail(opening: Promise<SpoolDatabase>, error: Error): void {
    if (this.#opening !== opening) return
    this.#opening = null
    this.#failure = { error, at: performance.now() }
    void opening.then((database) => database.close()).catch(() => undefined)
  }
}

/** @throws also when it does not end in time: then nothing is written */
export async function writeTo(
  database: SpoolDatabase,
  stores: readonly Store[],
  durability: IDBTransactionDurability | undefined,
  requests: (transaction: SpoolTransaction) => void,
): Promise<void> {
  const transaction = database.transaction([...stores], 'readwrite', durability === undefined ? {} : { durability })
  requests(transaction)
  // Not of the requests: those of a commit that fails end with `AbortError`, and only the transaction has the reason.
  await orAbort(transaction, completed(transaction))
}

async function orAbort<T>(transaction: SpoolTransaction, work: Promise<T>): Promise<T> {
  try {
    return await inTime(work, STORE_PATIENCE_MS, () => new RecorderError('spool-failed', 'the store does not answer'))
  } catch (error) {
    // So that it does not hold up those behind it.
    if (isSilence(error)) abort(transaction)
    throw error
  }
}

function abort(transaction: SpoolTransaction): void {
  try {
    transaction.abort()
  } catch {
    // It has ended just now.
  }
}

/** `transaction()` of a connection that is closed or closing. */
const isClosed = (error: unknown): boolean => error instanceof DOMException && error.name === 'InvalidStateError'

const isSilence = (error: unknown): error is RecorderError => error instanceof RecorderError
