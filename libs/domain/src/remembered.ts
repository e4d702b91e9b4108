/**
 * The function, but asked again about the same object it gives the same answer without working it out again. Only for objects that
 * never change, such as the parts of a state: a session has hundreds of them, and an event changes one.
 */
export function remembered<K extends object, V>(workOut: (key: K) => V): (key: K) => V {
  const known = new WeakMap<K, V>()
  return (key) => {
    const value = known.get(key)
    // `undefined` would be computed again; no function here returns it.
    if (value !== undefined) return value
    const fresh = workOut(key)
    known.set(key, fresh)
    return fresh
  }
}
