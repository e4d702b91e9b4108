/** Waits for conditions that change only when `changed()` is called: no polling, and never without an end. */
export class Conditions {
  readonly #waiting = new Set<() => void>()

  /** Tells all who wait to look again. */
  changed(): void {
    for (const look of this.#waiting) look()
  }

  /**
   * Resolves as soon as `holds` is true; rejects when it throws, or after `timeoutMs` with what was waited for and
   * `state()`, which should say how far things had come.
   */
  until(what: string, holds: () => boolean, timeoutMs: number, state: () => string): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(look)
      }
      const look = (): void => {
        try {
          if (!holds()) return
          end()
          resolve()
        } catch (cause) {
          end()
          reject(cause instanceof Error ? cause : new Error(String(cause)))
        }
      }
      const timer = setTimeout(() => {
        end()
        reject(new Error(`waited ${timeoutMs} ms in vain for ${what}; ${state()}`))
      }, timeoutMs)
      this.#waiting.add(look)
      look()
    })
  }
}
