/** Nearer to its end it is left to play: a seek would take longer than what is skipped. */
const MIN_SKIP_MS = 100

/** Where to go on when playing at `atMs` within media that an earlier file has shown; null where there is nothing to skip. */
export function endOfRepeated(repeated: readonly { startMs: number; endMs: number }[], atMs: number): number | null {
  return repeated.find(({ startMs, endMs }) => startMs <= atMs && atMs < endMs - MIN_SKIP_MS)?.endMs ?? null
}
