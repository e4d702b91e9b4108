/** Typed events. A listener that throws is reported like any uncaught error and stops nothing here. */
export class Emitter<Events> {
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>()

  /** @returns ends it */
  on<K extends keyof Events>(name: K, listener: (event: Events[K]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners.add(listener))
    return () => void listeners.delete(listener)
  }

  /** @returns whether anyone listened */
  emit<K extends keyof Events>(name: K, event: Events[K]): boolean {
    const listeners = [...(this.#listeners.get(name) ?? [])]
    for (const listener of listeners as ((event: Events[K]) => void)[]) {
      try {
        listener(event)
      } catch (error) {
        reportError(error)
      }
    }
    return listeners.length > 0
  }
}
