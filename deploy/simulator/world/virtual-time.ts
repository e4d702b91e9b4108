import { AsyncLocalStorage } from 'node:async_hooks'

/** The beginning of simulated time: 2026-01-01T00:00:00Z, in milliseconds since the epoch. */
export const BEGINNING_MS = Date.UTC(2026, 0, 1)

const runImmediately = setImmediate
/** Immediates queued at once: Node drains microtasks between two of them, without a turn of its event loop. */
const STEPS_PER_TURN = 64

/**
 * A simulated operating-system process. Timers and messages that it owns run only while it is alive; while it is
 * paused they wait and run all at once when it resumes, as after SIGSTOP and SIGCONT.
 */
export class SimProcess {
  readonly name: string
  #alive = true
  #paused = false
  #deferred: (() => void)[] = []
  readonly #onExit: (() => void)[] = []

  constructor(name: string) {
    this.name = name
  }

  get alive(): boolean {
    return this.#alive
  }

  get paused(): boolean {
    return this.#paused
  }

  /** Runs `work` as this process: what it starts belongs to the process. */
  run<T>(work: () => T): T {
    return current.run(this, work)
  }

  /** Called when the process ends: the system closes its sockets. */
  onExit(callback: () => void): void {
    this.#onExit.push(callback)
  }

  /** kill -9: nothing of it ever runs again. */
  kill(): void {
    if (!this.#alive) return
    this.#alive = false
    this.#deferred = []
    for (const callback of this.#onExit.splice(0)) callback()
  }

  pause(): void {
    this.#paused = this.#alive
  }

  resume(time: VirtualTime): void {
    this.#paused = false
    for (const callback of this.#deferred.splice(0)) time.at(time.now, callback, this)
  }

  /** Runs a due callback, keeps it for later, or drops it. */
  due(callback: () => void): void {
    if (!this.#alive) return
    if (this.#paused) this.#deferred.push(callback)
    else current.run(this, callback)
  }
}

const current = new AsyncLocalStorage<SimProcess>()

/** The process on whose behalf code runs now; undefined for the simulator itself. */
export const currentProcess = (): SimProcess | undefined => current.getStore()

interface Entry {
  readonly at: number
  readonly order: number
  readonly owner: SimProcess | undefined
  callback: (() => void) | null
}

/**
 * One queue of everything that will happen, in the order of its virtual time and, within one instant, of its making.
 * All microtasks that an entry causes have run before the next entry runs.
 */
export class VirtualTime {
  /** Milliseconds since `BEGINNING_MS`, with fractions. */
  now = 0
  /** Entries that ran so far. */
  steps = 0
  #order = 0
  readonly #heap: Entry[] = []

  /** Schedules for the simulator, or for `owner`; returns the cancellation. */
  at(time: number, callback: () => void, owner?: SimProcess): () => void {
    const entry: Entry = { at: Math.max(time, this.now), order: this.#order++, owner, callback }
    this.#push(entry)
    return () => {
      entry.callback = null
    }
  }

  after(ms: number, callback: () => void, owner?: SimProcess): () => void {
    return this.at(this.now + ms, callback, owner)
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve, currentProcess()))
  }

  /** Lets time pass until `done` or until nothing is left to happen; rejects with what a callback throws. */
  run(done: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    let over = false
    let queued = 0
    const step = (): void => {
      queued -= 1
      if (over) return
      try {
        if (done() || !this.#runNext()) {
          over = true
          return resolve()
        }
      } catch (error) {
        over = true
        return reject(error instanceof Error ? error : new Error(String(error)))
      }
      if (queued === 0) turn()
    }
    const turn = (): void => {
      for (; queued < STEPS_PER_TURN; queued += 1) runImmediately(step)
    }
    turn()
    return promise
  }

  #runNext(): boolean {
    for (let entry = this.#pop(); entry !== undefined; entry = this.#pop()) {
      const { callback, owner, at } = entry
      if (callback === null) continue
      this.now = at
      this.steps += 1
      if (owner === undefined) callback()
      else owner.due(callback)
      return true
    }
    return false
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let index = heap.length
    heap.push(entry)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(entry, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = entry
  }

  #pop(): Entry | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1
      if (!isBefore(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
    return first
  }
}

const isBefore = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
