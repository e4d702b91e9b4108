/** Things that cover chunks `from` to `to`. Lists of them are sorted and disjoint unless said otherwise. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** Those of the list that have a chunk in `from … to`; found by bisection, for lists may hold thousands. */
export function spansTouching<S extends Span>(spans: readonly S[], from: number, to: number): S[] {
  let low = 0
  let high = spans.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (spans[middle]!.to < from) low = middle + 1
    else high = middle
  }
  let end = low
  while (end < spans.length && spans[end]!.from <= to) end++
  return spans.slice(low, end)
}

/** By their key, each list sorted by `from`. */
export function grouped<S extends Span>(spans: readonly S[], keyOf: (span: S) => string): ReadonlyMap<string, readonly S[]> {
  const groups = new Map<string, S[]>()
  for (const span of spans) {
    const key = keyOf(span)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [span])
    else group.push(span)
  }
  for (const group of groups.values()) group.sort((a, b) => a.from - b.from)
  return groups
}
