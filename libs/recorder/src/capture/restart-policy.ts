/** A failed `MediaRecorder` is followed by another after these waits; they begin anew when one has lasted. */
const WAITS_MS = [0, 1000, 5000, 15_000, 30_000]
const LASTED_MS = 60_000

/** How often in a row a track's `MediaRecorder` has failed. Times are milliseconds. */
export class RestartPolicy {
  #failures = 0

  /**
   * @param ranForMs how long the one that failed had recorded
   * @returns how long to wait before the next; null: it is no use
   */
  failed(ranForMs: number): number | null {
    this.#failures = ranForMs >= LASTED_MS ? 1 : this.#failures + 1
    return WAITS_MS[this.#failures - 1] ?? null
  }
}
