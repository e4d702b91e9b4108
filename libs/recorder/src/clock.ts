/** Turns this device's time into the server's, by the difference learned from `welcome`. Times are milliseconds since the epoch. */
export class ServerClock {
  #differenceMs = 0

  /** @param serverTime RFC 3339; the way it took over the line counts as nothing, which is the same for all tracks */
  learn(serverTime: string, now: number): void {
    this.#differenceMs = Date.parse(serverTime) - now
  }

  toServer(localMs: number): number {
    return Math.max(0, Math.round(localMs + this.#differenceMs))
  }

  toServerIso(localMs: number): string {
    return new Date(this.toServer(localMs)).toISOString()
  }
}
