/** Turns this device's time into the server's, by the difference learned from `welcome`. Times are milliseconds since the epoch. */
export class ServerClock {
  #differenceMs = 0

  /** How far the server's clock is ahead of this device's, in milliseconds. */
  get aheadMs(): number {
    return this.#differenceMs
  }

  /** @param serverTime RFC 3339; the way it took over the line counts as nothing, which is the same for all tracks */
  learn(serverTime: string, now: number): void {
    this.#differenceMs = Date.parse(serverTime) - now
  }

  /** @param aheadMs as it was known at another time; null: as it is now */
  toServer(localMs: number, aheadMs: number | null = null): number {
    return Math.max(0, Math.round(localMs + (aheadMs ?? this.#differenceMs)))
  }

  toServerIso(localMs: number): string {
    return new Date(this.toServer(localMs)).toISOString()
  }
}
