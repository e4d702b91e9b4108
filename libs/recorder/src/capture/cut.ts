/** A blob's pieces of at most `maxBytes`, in their order; of an empty blob none. A part is a byte stream: where it is cut means nothing. */
export function* cut(blob: Blob, maxBytes: number): Generator<Blob> {
  for (let from = 0; from < blob.size; from += maxBytes) yield blob.size <= maxBytes ? blob : blob.slice(from, from + maxBytes)
}
