import { boxesIn, find, uint64, viewOf, type Box } from './boxes.ts'
import type { FragmentState, Taken } from './fragment-reader.ts'

/** Indexes by position, which would be wrong in another file. Players do not need them. */
const POSITIONAL_INDEXES: ReadonlySet<string> = new Set(['sidx', 'ssix', 'mfra'])

/**
 * A copy of the bytes for another position in another file: decode times (`tfdt`) and absolute data offsets are those
 * of that file, and an index of positions becomes a `free` box of the same length. Everything else is unchanged
 * (ISO/IEC 14496-12 §8.8, §8.16).
 * @param byMs subtracted from each decode time; none becomes negative
 * @param byBytes added to each position in the stream
 */
export function moveFragments({ from, bytes, boxes }: Taken, tracks: NonNullable<FragmentState['tracks']>, { byMs, byBytes }: { readonly byMs: number; readonly byBytes: number }): Uint8Array {
  // `slice` would not copy a Buffer.
  const moved = new Uint8Array(bytes)
  for (const { type, at, fragment } of boxes) {
    if (POSITIONAL_INDEXES.has(type)) moved.set(FREE, at - from + 4)
    if (fragment === undefined) continue
    for (const moof of boxesIn(moved, at - from, at - from + fragment.bytes)) {
      for (const traf of boxesIn(moved, moof.data, moof.end)) if (traf.type === 'traf') moveTrack(moved, traf, tracks, byMs, byBytes)
    }
  }
  return moved
}

const FREE = Buffer.from('free', 'latin1')

function moveTrack(bytes: Uint8Array, traf: Box, tracks: NonNullable<FragmentState['tracks']>, byMs: number, byBytes: number): void {
  const view = viewOf(bytes)
  const tfhd = find(bytes, traf, 'tfhd')
  if (tfhd === undefined || tfhd.end - tfhd.data < 8) return
  const hasBase = (view.getUint32(tfhd.data) & 0x1) !== 0 && tfhd.end - tfhd.data >= 16
  if (hasBase) view.setBigUint64(tfhd.data + 8, BigInt(Math.max(0, uint64(view, tfhd.data + 8) + byBytes)))
  const timescale = tracks.find(({ id }) => id === view.getUint32(tfhd.data + 4))?.timescale
  const tfdt = find(bytes, traf, 'tfdt')
  if (timescale === undefined || tfdt === undefined || tfdt.end - tfdt.data < 8) return
  const ticks = Math.round((byMs * timescale) / 1000)
  const isLong = bytes[tfdt.data] === 1 && tfdt.end - tfdt.data >= 12
  if (isLong) view.setBigUint64(tfdt.data + 4, BigInt(Math.max(0, uint64(view, tfdt.data + 4) - ticks)))
  else view.setUint32(tfdt.data + 4, Math.max(0, view.getUint32(tfdt.data + 4) - ticks))
}
