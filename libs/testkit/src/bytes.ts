/** Joins pieces into one array. */
export function concat(pieces: Iterable<Uint8Array>): Uint8Array {
  const all = [...pieces]
  const joined = new Uint8Array(all.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of all) {
    joined.set(piece, at)
    at += piece.length
  }
  return joined
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}

/** Index of the first differing byte, or -1 when both are the same. */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  if (equalBytes(a, b)) return -1
  const shorter = Math.min(a.length, b.length)
  for (let at = 0; at < shorter; at += 1) if (a[at] !== b[at]) return at
  return shorter
}
