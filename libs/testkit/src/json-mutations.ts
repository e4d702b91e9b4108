import fc from 'fast-check'

/** A JSON value with one place in it changed: another value, a member gone, an item doubled or many. */
export function mutatedJson(samples: readonly unknown[]): fc.Arbitrary<unknown> {
  return fc.tuple(fc.constantFrom(...samples), fc.nat(10_000), fc.constantFrom('replace' as const, 'remove' as const, 'double' as const, 'many' as const), odd).map(([sample, which, how, value]) => {
    const copy: unknown = JSON.parse(JSON.stringify({ root: sample }))
    const places = placesIn(copy)
    const { parent, key } = places[which % places.length]!
    if (how === 'remove' && !Array.isArray(parent)) delete parent[key]
    else if (how === 'double' && Array.isArray(parent)) parent.splice(Number(key), 0, parent[Number(key)])
    else if (how === 'many') parent[key as never] = Array.from({ length: 50 }, () => parent[key as never]) as never
    else parent[key as never] = value as never
    return (copy as { root: unknown }).root
  })
}

/** Values that code stumbles over. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(null, true, '', 'x', '0', '-1', '1e3', 'constructor', '__proto__', [], {}, -1, -0, 0.5, 1e308, 2 ** 32 - 2, 2 ** 32 - 1, 2 ** 32, 2 ** 53, 8.64e15),
  fc.constantFrom('0000-01-01T00:00:00Z', '9999-12-31T23:59:59-23:59', '2026-02-28T23:59:59.999999999+14:00', 'webcam', 'screen', 'a'.repeat(70), '\ud800'),
  fc.jsonValue(),
)

type Parent = Record<string, unknown>

function placesIn(value: unknown): { parent: Parent; key: string }[] {
  if (typeof value !== 'object' || value === null) return []
  const parent = value as Parent
  return Object.keys(parent).flatMap((key) => [{ parent, key }, ...placesIn(parent[key])])
}
