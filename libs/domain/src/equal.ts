/** Whether two pieces of JSON data say the same, whatever the order of their keys. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  if (Array.isArray(a) && Array.isArray(b)) return areEqual(a, b)
  let keys = 0
  for (const key in a) {
    const one = (a as Record<string, unknown>)[key]
    const other = (b as Record<string, unknown>)[key]
    // Most values are the same text or number: whole states are compared with this.
    if ((one !== other || one === undefined) && !(Object.hasOwn(b, key) && isEqual(one, other))) return false
    keys++
  }
  for (const _ in b) keys--
  return keys === 0
}

function areEqual(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!isEqual(a[i], b[i])) return false
  return true
}

/**
 * The later list with what it shares with the earlier one: an element that equals its counterpart is the very same object, and
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
