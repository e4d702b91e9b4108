import type { Part } from './part.ts'

const caches: WeakMap<Part, unknown>[] = []

/**
 * The function, but asked again about a part that has not changed since a commit it gives the same answer without
 * working it out again: a track may have a thousand parts, most of which ended long ago. Only for what follows from
 * what a checkpoint holds of the part, since that is what `dirty` is about.
 */
export function whileUnchanged<V>(workOut: (part: Part) => V): (part: Part) => V {
  const known = new WeakMap<Part, { readonly value: V }>()
  caches.push(known)
  return (part) => {
    if (part.dirty) return workOut(part)
    const found = known.get(part) ?? { value: workOut(part) }
    known.set(part, found)
    return found.value
  }
}

/** Discards what was worked out of a part before it changed. Call it whenever the part ceases to be dirty. */
export function partChanged(part: Part): void {
  for (const cache of caches) cache.delete(part)
}
