/** Keeps the screen on, and with it the computer from sleeping, where the browser can and the person allows it. */
export class WakeLock {
  #lock: WakeLockSentinel | null = null
  #wanted = true

  constructor() {
    void this.acquire()
  }

  get #isHeld(): boolean {
    return this.#lock?.released === false
  }

  /** Again whenever the page has become visible: browsers take it back from hidden ones. */
  async acquire(): Promise<void> {
    if (!this.#wanted || document.visibilityState !== 'visible' || this.#isHeld) return
    try {
      // Some browsers have none.
      const lock = await (navigator as Partial<Navigator>).wakeLock?.request('screen')
      // Another call may have got one meanwhile, or nobody wants it any more.
      if (lock !== undefined && (!this.#wanted || this.#isHeld)) await lock.release()
      else this.#lock = lock ?? null
    } catch {
      // Refused, as when the battery is low: recording does not depend on it.
    }
  }

  release(): void {
    this.#wanted = false
    // A lock that cannot be given back ends with the page.
    this.#lock?.release().catch(() => undefined)
    this.#lock = null
  }
}
