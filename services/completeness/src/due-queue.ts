interface Entry {
  readonly at: number
  readonly session: string
}

/** When each session is to be looked at next. A heap, so that of many sessions only those that are due cost anything. */
export class DueQueue {
  readonly #due = new Map<string, number>()
  /** The earliest first. What a session was due at before may still be in here: `#due` tells which counts. */
  readonly #heap: Entry[] = []

  /** @param at milliseconds since the epoch; `Infinity` for never */
  set(session: string, at: number): void {
    if (this.#due.get(session) === at) return
    if (at === Infinity) {
      this.#due.delete(session)
      return
    }
    this.#due.set(session, at)
    this.#push({ at, session })
  }

  /** Takes out all that are due. */
  *take(now: number): Iterable<string> {
    for (let first = this.#heap[0]; first !== undefined && first.at <= now; first = this.#heap[0]) {
      this.#shift()
      if (this.#due.get(first.session) !== first.at) continue
      this.#due.delete(first.session)
      yield first.session
    }
  }

  #push(entry: Entry): void {
    let at = this.#heap.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (this.#heap[parent]!.at <= entry.at) break
      this.#heap[at] = this.#heap[parent]!
      at = parent
    }
    this.#heap[at] = entry
  }

  #shift(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.#heap.length) break
      if (child + 1 < this.#heap.length && this.#heap[child + 1]!.at < this.#heap[child]!.at) child++
      if (this.#heap[child]!.at >= last.at) break
      this.#heap[at] = this.#heap[child]!
      at = child
    }
    this.#heap[at] = last
  }
}
