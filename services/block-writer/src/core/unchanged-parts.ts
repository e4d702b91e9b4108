import type { Part } from './part.ts'

const caches: WeakMap<Part, unknown>[] = []

/**
 * Caches the result of the function for each part until the part changes: a track may have a thousand parts, most of
 * which ended long ago. Only for results that depend on nothing but what a checkpoint holds of the part, since `dirty`
 * covers no more.
 */
export function whileUnchanged<V>(compute: (part: Part) => V): (part: Part) => V {
  const known = new WeakMap<Part, { readonly value: V }>()
  caches.push(known)
  return (part) => {
    if (part.dirty) return compute(part)
    const found = known.get(part) ?? { value: compute(part) }
    known.set(part, found)
    return found.value
  }
}

/** Discards the cached results of a part. Call it whenever the part ceases to be dirty. */
export function partChanged(part: Part): void {
  for (const cache of caches) cache.delete(part)
}
