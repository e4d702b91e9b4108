/** Whether two pieces of JSON data say the same, whatever the order of their keys. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((one, i) => isEqual(one, b[i]))
  let keys = 0
  for (const key in a) {
    if (!Object.hasOwn(b, key) || !isEqual((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key])) return false
    keys++
  }
  return keys === Object.keys(b).length
}

/**
 * The later list with what it shares with the earlier one: an element that says the same as its counterpart is the very same object, and
 * so is the list where all are. What is worked out of an element can then be kept with it.
 */
export function sharing<T>(earlier: readonly T[], later: T[], idOf: (one: T) => string): T[] {
  const byId = new Map<string, T>()
  const shared = later.map((one, i) => {
    let known = earlier[i]
    if (known === undefined || idOf(known) !== idOf(one)) {
      if (byId.size === 0) for (const other of earlier) byId.set(idOf(other), other)
      known = byId.get(idOf(one))
    }
    return known !== undefined && isEqual(known, one) ? known : one
  })
  return shared.length === earlier.length && shared.every((one, i) => one === earlier[i]) ? (earlier as T[]) : shared
}
