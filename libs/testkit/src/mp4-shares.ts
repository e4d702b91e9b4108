import { concat, equalBytes } from './bytes.ts'

/*
 * An MP4 that continues in a later file: that file has the init segment, then a fragment that the earlier file has as
 * well, or the one behind it. Its decode times count from its own beginning; everything else is as it was recorded.
 */

interface Fragment {
  /** Byte offset of its `moof`. */
  at: number
  /** The content of its `mdat`. */
  content: Uint8Array
  /** Byte offset, size and value of the decode time, by track. */
  times: Map<number, { at: number; isLong: boolean; ticks: bigint }>
}

/**
 * The expected bytes of a later file, and how many bytes of the recording all files up to this one have.
 * @param recorded the whole recording
 * @param earlierBytes how many bytes of it earlier files have
 */
export function laterMp4(recorded: Uint8Array, file: Uint8Array, earlierBytes: number): { expected: Uint8Array; to: number } {
  const init = recorded.subarray(0, [...boxes(recorded, 0, recorded.length)].find(({ type }) => type === 'moov')?.end ?? 0)
  const [first] = fragmentsOf(file)
  const same = fragmentsOf(recorded).findLast(({ at, content }) => at <= Math.max(earlierBytes, init.length) && first !== undefined && equalBytes(content, first.content))
  if (first === undefined || same === undefined) return { expected: concat([init, recorded.subarray(earlierBytes)]), to: earlierBytes }
  const shifts = new Map([...same.times].map(([track, { ticks }]) => [track, ticks - (first.times.get(track)?.ticks ?? ticks)]))
  const expected = concat([init, recorded.subarray(same.at)])
  const view = viewOf(expected)
  for (const { times } of fragmentsOf(expected)) {
    for (const [track, { at, isLong, ticks }] of times) {
      const moved = ticks - (shifts.get(track) ?? 0n)
      if (isLong) view.setBigUint64(at, moved)
      else view.setUint32(at, Number(moved))
    }
  }
  return { expected, to: same.at + file.length - init.length }
}

function fragmentsOf(bytes: Uint8Array): Fragment[] {
  const view = viewOf(bytes)
  const fragments: Fragment[] = []
  let open: Fragment | undefined
  for (const { type, at, data, end } of boxes(bytes, 0, bytes.length)) {
    if (type === 'mdat' && open !== undefined) fragments.push({ ...open, content: bytes.subarray(data, end) })
    open = undefined
    if (type !== 'moof') continue
    open = { at, content: bytes.subarray(0, 0), times: new Map() }
    for (const traf of boxes(bytes, data, end)) {
      const inside = [...boxes(bytes, traf.data, traf.end)]
      const [tfhd, tfdt] = ['tfhd', 'tfdt'].map((name) => inside.find((box) => box.type === name))
      if (traf.type !== 'traf' || tfhd === undefined || tfdt === undefined) continue
      const isLong = bytes[tfdt.data] === 1
      open.times.set(view.getUint32(tfhd.data + 4), { at: tfdt.data + 4, isLong, ticks: isLong ? view.getBigUint64(tfdt.data + 4) : BigInt(view.getUint32(tfdt.data + 4)) })
    }
  }
  return fragments
}

function* boxes(bytes: Uint8Array, from: number, to: number): Generator<{ type: string; at: number; data: number; end: number }> {
  const view = viewOf(bytes)
  for (let at = from; at + 8 <= to; ) {
    const end = at + view.getUint32(at)
    if (end < at + 8 || end > to) return
    yield { type: Buffer.from(bytes.subarray(at + 4, at + 8)).toString('latin1'), at, data: at + 8, end }
    at = end
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
