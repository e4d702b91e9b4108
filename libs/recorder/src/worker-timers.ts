/** Cancels it; harmless afterwards. */
export type Cancel = () => void

/** A worker that does not run within this, as where a policy blocks it without a word, is replaced by the page's own timers. */
const WORKER_PATIENCE_MS = 5000
const READY = -1

/** Runs in the worker: a message with `ms` sets a timer, one without ends it; what is due comes back by its id. */
const WORKER = `const timers = new Map()
onmessage = ({ data: { id, ms } }) => {
  if (ms === undefined) { clearTimeout(timers.get(id)); timers.delete(id) }
  else timers.set(id, setTimeout(() => { timers.delete(id); postMessage(id) }, ms))
}
postMessage(${READY})`

/**
 * Timers that run in a Worker: browsers slow those of background tabs down to one a minute, but not a worker's.
 * Where the page's content security policy forbids `blob:` workers, the page's own timers serve.
 */
export class WorkerTimers {
  #worker: Worker | null
  readonly #due = new Map<number, { task: () => void; at: number; pageTimer?: ReturnType<typeof setTimeout> }>()
  #nextId = 0

  constructor() {
    this.#worker = this.#startWorker()
  }

  /** Whether they are the page's own, which come late in the background. */
  get isThrottled(): boolean {
    return this.#worker === null
  }

  /** Calls `task` once, after `ms` milliseconds. */
  after(ms: number, task: () => void): Cancel {
    const id = this.#nextId++
    this.#due.set(id, { task, at: Date.now() + ms })
    if (this.#worker === null) this.#setPageTimer(id)
    else this.#post({ id, ms })
    return () => this.#cancel(id)
  }

  /** Calls `task` every `ms` milliseconds. */
  every(ms: number, task: () => void): Cancel {
    let cancel: Cancel = () => undefined
    const next = (): void => {
      cancel = this.after(ms, () => {
        next()
        task()
      })
    }
    next()
    return () => cancel()
  }

  /** Cancels all and ends the worker. */
  close(): void {
    for (const id of this.#due.keys()) this.#cancel(id)
    this.#worker?.terminate()
    this.#worker = null
  }

  #startWorker(): Worker | null {
    const url = URL.createObjectURL(new Blob([WORKER], { type: 'text/javascript' }))
    try {
      const worker = new Worker(url)
      // Asked again after a page that was busy has had time to read the answer.
      let patience = setTimeout(() => (patience = setTimeout(() => this.#fallBack(), WORKER_PATIENCE_MS)), WORKER_PATIENCE_MS)
      worker.addEventListener('message', ({ data }) => (data === READY ? clearTimeout(patience) : this.#fire(data as number)))
      // A policy's refusal comes as an exception in some browsers and as this event in others.
      worker.addEventListener('error', () => this.#fallBack())
      return worker
    } catch {
      return null
    } finally {
      URL.revokeObjectURL(url)
    }
  }

  #fallBack(): void {
    if (this.#worker === null) return
    this.#worker.terminate()
    this.#worker = null
    for (const id of this.#due.keys()) this.#setPageTimer(id)
  }

  #setPageTimer(id: number): void {
    const due = this.#due.get(id)
    if (due !== undefined) due.pageTimer = setTimeout(() => this.#fire(id), Math.max(0, due.at - Date.now()))
  }

  #fire(id: number): void {
    const due = this.#due.get(id)
    this.#due.delete(id)
    due?.task()
  }

  #cancel(id: number): void {
    const due = this.#due.get(id)
    if (due === undefined) return
    this.#due.delete(id)
    clearTimeout(due.pageTimer)
    this.#post({ id })
  }

  #post(message: { id: number; ms?: number }): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has no origin to name
    this.#worker?.postMessage(message)
  }
}
