import fc from 'fast-check'
import { concat } from './bytes.ts'
import { readHead } from './ebml.ts'
import { elementId, elementSize, unknownSize } from './elements.ts'
import { ruleOf } from './schema.ts'

/** One thing that happens to a stream. Places are fractions of what there is, so that all of them exist. */
export type Mutation =
  /** Bits of a byte anywhere turn over. */
  | { do: 'flip'; at: number; mask: number }
  /** Bytes anywhere are gone. */
  | { do: 'cut'; at: number; bytes: number }
  /** The stream ends. */
  | { do: 'end'; at: number }
  /** A whole element is gone, comes twice, or comes again elsewhere. */
  | { do: 'drop' | 'double'; element: number }
  | { do: 'splice'; element: number; to: number }
  /** Only the first bytes of an element's content are there. */
  | { do: 'truncate'; element: number; left: number }
  /** An element says another size than it has; null: unknown. */
  | { do: 'resize'; element: number; size: number | null; width: number }
  /** An element is of another kind. */
  | { do: 'rename'; element: number; id: number }

const place = fc.double({ min: 0, max: 0.9999, noNaN: true })
/** Sizes that limits are near to. */
const sizes = [0, 1, 126, 127, 128, 4096, 4097, 65_537, 2 ** 24, 2 ** 25 + 1, 2 ** 28 - 2, 2 ** 31, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER]
const ids = [0x1a45dfa3, 0x18538067, 0x1549a966, 0x1654ae6b, 0x1f43b675, 0x1c53bb6b, 0xe7, 0xa3, 0xa0, 0xa1, 0xec, 0xbf, 0xfb, 0x9b, 0xae, 0x4242]

export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ do: fc.constant('flip' as const), at: place, mask: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ do: fc.constant('cut' as const), at: place, bytes: fc.integer({ min: 1, max: 5000 }) }),
  fc.record({ do: fc.constant('end' as const), at: place }),
  fc.record({ do: fc.constantFrom('drop' as const, 'double' as const), element: place }),
  fc.record({ do: fc.constant('splice' as const), element: place, to: place }),
  fc.record({ do: fc.constant('truncate' as const), element: place, left: fc.nat(40) }),
  fc.record({ do: fc.constant('resize' as const), element: place, size: fc.option(fc.oneof(fc.constantFrom(...sizes), fc.nat(3000))), width: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ do: fc.constant('rename' as const), element: place, id: fc.constantFrom(...ids) }),
)

/** A WebM stream after these mutations, one after another. */
export function mutate(stream: Uint8Array, mutations: readonly Mutation[]): Uint8Array {
  return mutations.reduce(mutateOnce, stream)
}

function mutateOnce(stream: Uint8Array, mutation: Mutation): Uint8Array {
  const replaced = (from: number, to: number, ...by: Uint8Array[]): Uint8Array => concat([stream.subarray(0, from), ...by, stream.subarray(to)])
  if ('at' in mutation) {
    const at = Math.floor(mutation.at * stream.length)
    switch (mutation.do) {
      case 'flip':
        return replaced(at, at + 1, Uint8Array.of(((stream[at] ?? 0) ^ mutation.mask) & 0xff))
      case 'cut':
        return replaced(at, at + mutation.bytes)
      case 'end':
        return stream.subarray(0, at)
      default:
        return mutation satisfies never
    }
  }
  const elements = elementsOf(stream)
  const chosen = (fraction: number): Element => elements[Math.floor(fraction * elements.length)]!
  if (elements.length === 0) return stream
  const { at, sizeAt, dataAt, end } = chosen(mutation.element)
  switch (mutation.do) {
    case 'drop':
      return replaced(at, end)
    case 'double':
      return replaced(end, end, stream.subarray(at, end))
    case 'splice': {
      const to = chosen(mutation.to).at
      return replaced(to, to, stream.subarray(at, end))
    }
    case 'truncate':
      return replaced(Math.min(end, dataAt + mutation.left), end)
    case 'resize':
      return replaced(sizeAt, dataAt, mutation.size === null ? unknownSize : sizeOf(mutation.size, mutation.width))
    case 'rename':
      return replaced(at, sizeAt, elementId(mutation.id))
    default:
      return mutation satisfies never
  }
}

interface Element {
  at: number
  sizeAt: number
  dataAt: number
  /** Behind its content; behind its head where its size is unknown. */
  end: number
}

/** All elements as far as the stream can be followed, inner ones too. */
function elementsOf(stream: Uint8Array): Element[] {
  const elements: Element[] = []
  for (let at = 0; ; ) {
    const head = readHead(stream, at, stream.length)
    if (head === null) return elements
    const end = Math.min(stream.length, head.dataAt + (head.size ?? 0))
    elements.push({ at, sizeAt: at + elementId(head.id).length, dataAt: head.dataAt, end })
    at = head.size === null || ruleOf(head.id)?.master === true ? head.dataAt : end
  }
}

const sizeOf = (size: number, width: number): Uint8Array => elementSize(size, size < 2 ** (7 * width) - 1 ? width : undefined)
