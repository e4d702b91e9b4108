import { findStreamHead } from '@longtake/webm'

/** Why bytes are no recording. A head that stands behind the first byte shows that chunks were numbered in the wrong order. */
export function unknownReason(bytes: Uint8Array): string {
  const at = findStreamHead(bytes)
  return `neither WebM, Matroska nor MP4${at < 0 ? '' : `; the EBML head stands at byte ${at}`}`
}
