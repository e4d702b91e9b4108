import type { StorageLeft } from '../api.ts'

/** Below this it is said to the server, and said again only after it was twice as much. */
export const LITTLE_MINUTES = 10
const RATE_OVER_MS = 60_000

/** How long this computer has room for a recording that cannot be sent, at the rate of the last minute. Times are milliseconds. */
export class StorageForecast {
  #seen: { now: number; recordedBytes: number }[] = []
  #isLittle = false

  /**
   * @param availableBytes that the browser would still give to this origin
   * @returns null while the rate is not known; `isNews`: it has become little
   */
  see({ now, recordedBytes, availableBytes }: { now: number; recordedBytes: number; availableBytes: number }): (StorageLeft & { isNews: boolean }) | null {
    this.#seen = [...this.#seen.filter((sample) => now - sample.now <= RATE_OVER_MS), { now, recordedBytes }]
    const first = this.#seen[0]!
    const bytes = recordedBytes - first.recordedBytes
    if (bytes <= 0 || now <= first.now) return null
    const minutes = minutesOf(availableBytes, (bytes * 1000) / (now - first.now))
    const wasLittle = this.#isLittle
    if (minutes < LITTLE_MINUTES) this.#isLittle = true
    else if (minutes >= 2 * LITTLE_MINUTES) this.#isLittle = false
    return { minutes, availableBytes, isNews: this.#isLittle && !wasLittle }
  }
}

/** Whole minutes of recording for which there is room. */
export function minutesOf(availableBytes: number, bytesPerSecond: number): number {
  return Math.floor(Math.max(0, availableBytes) / bytesPerSecond / 60)
}
