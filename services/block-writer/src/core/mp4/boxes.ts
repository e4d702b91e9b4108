/** Boxes of ISO/IEC 14496-12 (MP4), as far as the times of fragments need them. Pure; malformed bytes give null, never an error. */

export interface Box {
  readonly type: string
  /** Where its content starts and ends. */
  readonly data: number
  readonly end: number
}

/** A box head: its size with the head, `Infinity` where it reaches to the end of the file; null when none can start so. */
export interface BoxHead {
  readonly type: string
  readonly size: number
  readonly length: number
}

/** The head at `at`; a number is how many bytes must be there to read it. */
export function readBoxHead(bytes: Uint8Array, at: number, end: number): BoxHead | number | null {
  if (end - at < 8) return 8
  const view = viewOf(bytes)
  const short = view.getUint32(at)
  if (short === 1 && end - at < 16) return 16
  const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
  const length = short === 1 ? 16 : 8
  const size = short === 0 ? Infinity : short === 1 ? view.getUint32(at + 8) * 2 ** 32 + view.getUint32(at + 12) : short
  if (!/^[\x20-\x7e\xa9]{4}$/.test(type) || size < length) return null
  return { type, size, length }
}

/** The boxes directly in a range, up to the first that is malformed or reaches beyond it. */
export function* boxesIn(bytes: Uint8Array, from: number, end: number): Generator<Box> {
  for (let at = from; at < end; ) {
    const head = readBoxHead(bytes, at, end)
    if (head === null || typeof head === 'number' || head.size > end - at) return
    yield { type: head.type, data: at + head.length, end: at + head.size }
    at += head.size
  }
}

export const find = (bytes: Uint8Array, { data, end }: Pick<Box, 'data' | 'end'>, type: string): Box | undefined => boxesIn(bytes, data, end).find((box) => box.type === type)

/** A track as `moov` describes it. */
export interface Mp4Track {
  readonly id: number
  /** Ticks a second. */
  readonly timescale: number
  /** Ticks of a sample that names none. */
  readonly defaultDuration: number
  /** Flags of a sample that names none. Absent, as the next one, in checkpoints of earlier versions. */
  readonly defaultFlags?: number
  readonly isVideo?: boolean
}

export interface Movie {
  readonly tracks: readonly Mp4Track[]
  readonly isFragmented: boolean
  /** Of its own samples, ms: 0 in a fragmented file. */
  readonly durationMs: number
}

const VIDEO_HANDLER = 0x7669_6465

/** The content of a `moov` box; null when there is no track in it. */
export function readMovie(bytes: Uint8Array, box: Pick<Box, 'data' | 'end'>): Movie | null {
  const view = viewOf(bytes)
  const tracks: Mp4Track[] = []
  let durationMs = 0
  const extended = find(bytes, box, 'mvex')
  const defaults = new Map<number, { duration: number; flags: number }>()
  for (const { type, data, end } of extended === undefined ? [] : boxesIn(bytes, extended.data, extended.end)) {
    if (type === 'trex' && end - data >= 24) defaults.set(view.getUint32(data + 4), { duration: view.getUint32(data + 12), flags: view.getUint32(data + 20) })
  }
  for (const trak of boxesIn(bytes, box.data, box.end)) {
    if (trak.type !== 'trak') continue
    const tkhd = find(bytes, trak, 'tkhd')
    const mdia = find(bytes, trak, 'mdia')
    const mdhd = mdia === undefined ? undefined : find(bytes, mdia, 'mdhd')
    const hdlr = mdia === undefined ? undefined : find(bytes, mdia, 'hdlr')
    if (tkhd === undefined || mdhd === undefined || tkhd.end - tkhd.data < 24 || mdhd.end - mdhd.data < 20) continue
    const id = view.getUint32(tkhd.data + (bytes[tkhd.data] === 1 ? 20 : 12))
    const isLong = bytes[mdhd.data] === 1 && mdhd.end - mdhd.data >= 32
    const timescale = view.getUint32(mdhd.data + (isLong ? 20 : 12))
    const ticks = isLong ? uint64(view, mdhd.data + 24) : view.getUint32(mdhd.data + 16)
    if (timescale === 0) continue
    const isVideo = hdlr !== undefined && hdlr.end - hdlr.data >= 12 && view.getUint32(hdlr.data + 8) === VIDEO_HANDLER
    const { duration, flags } = defaults.get(id) ?? { duration: 0, flags: 0 }
    tracks.push({ id, timescale, defaultDuration: duration, defaultFlags: flags, isVideo })
    durationMs = Math.max(durationMs, (ticks / timescale) * 1000)
  }
  return tracks.length === 0 ? null : { tracks, isFragmented: extended !== undefined, durationMs: extended === undefined ? durationMs : 0 }
}

/** What one `moof` holds of one track. Ticks of its timescale. */
export interface TrackRun {
  readonly track: number
  /** Decode time of the first sample; null where it follows the fragment before. */
  readonly startTicks: number | null
  readonly ticks: number
  readonly samples: number
  /** Bytes of its samples; null where they are not all named. */
  readonly bytes: number | null
  /** Whether the first of them needs no other one. */
  readonly isSync: boolean
}

/** The content of a `moof` box; null when it is malformed. */
export function readFragment(bytes: Uint8Array, box: Pick<Box, 'data' | 'end'>, tracks: readonly Mp4Track[]): TrackRun[] | null {
  const runs: TrackRun[] = []
  for (const traf of boxesIn(bytes, box.data, box.end)) {
    if (traf.type !== 'traf') continue
    const run = readTrackFragment(bytes, traf, tracks)
    if (run === null) return null
    runs.push(run)
  }
  return runs
}

function readTrackFragment(bytes: Uint8Array, traf: Box, tracks: readonly Mp4Track[]): TrackRun | null {
  const view = viewOf(bytes)
  const tfhd = find(bytes, traf, 'tfhd')
  if (tfhd === undefined || tfhd.end - tfhd.data < 8) return null
  const track = view.getUint32(tfhd.data + 4)
  const trackDefaults = tracks.find(({ id }) => id === track)
  const flags = view.getUint32(tfhd.data) & 0xff_ffff
  const field = fieldReader(view, tfhd.data + 8, tfhd.end)
  if ((flags & 0x1) !== 0) field(8)
  if ((flags & 0x2) !== 0) field(4)
  const defaultDuration = (flags & 0x8) !== 0 ? field(4) : (trackDefaults?.defaultDuration ?? 0)
  const defaultSize = (flags & 0x10) !== 0 ? field(4) : null
  const defaultFlags = (flags & 0x20) !== 0 ? field(4) : (trackDefaults?.defaultFlags ?? 0)
  if (defaultDuration === null || defaultFlags === null) return null
  let isSync = true
  let startTicks: number | null = null
  let [ticks, samples] = [0, 0]
  let sum: number | null = 0
  for (const { type, data, end } of boxesIn(bytes, traf.data, traf.end)) {
    if (type === 'tfdt' && end - data >= 8) startTicks = bytes[data] === 1 && end - data >= 12 ? uint64(view, data + 4) : view.getUint32(data + 4)
    if (type !== 'trun') continue
    const run = readSamples(view, data, end, { defaultDuration, defaultSize, defaultFlags })
    if (run === null) return null
    if (samples === 0) isSync = run.isSync
    ticks += run.ticks
    samples += run.samples
    sum = sum === null || run.bytes === null ? null : sum + run.bytes
  }
  return { track, startTicks, ticks, samples, bytes: sum, isSync }
}

interface SampleDefaults {
  readonly defaultDuration: number
  readonly defaultSize: number | null
  readonly defaultFlags: number
}

/** `sample_is_non_sync_sample` of a sample's flags. */
const NOT_SYNC = 0x1_0000

function readSamples(view: DataView, data: number, end: number, { defaultDuration, defaultSize, defaultFlags }: SampleDefaults): Omit<TrackRun, 'track' | 'startTicks'> | null {
  if (end - data < 8) return null
  const flags = view.getUint32(data) & 0xff_ffff
  const samples = view.getUint32(data + 4)
  const firstFlags = data + 8 + ((flags & 0x1) !== 0 ? 4 : 0)
  const first = firstFlags + ((flags & 0x4) !== 0 ? 4 : 0)
  const hasDuration = (flags & 0x100) !== 0
  const hasSize = (flags & 0x200) !== 0
  const width = 4 * [0x100, 0x200, 0x400, 0x800].filter((flag) => (flags & flag) !== 0).length
  if (first + samples * width > end) return null
  const ownFlags = first + (hasDuration ? 4 : 0) + (hasSize ? 4 : 0)
  const flagsOfFirst = (flags & 0x4) !== 0 ? view.getUint32(firstFlags) : (flags & 0x400) !== 0 && samples > 0 ? view.getUint32(ownFlags) : defaultFlags
  const isSync = (flagsOfFirst & NOT_SYNC) === 0
  const hasSizes = hasSize || defaultSize !== null
  if (width === 0) return { ticks: samples * defaultDuration, samples, bytes: defaultSize === null ? null : samples * defaultSize, isSync }
  let [ticks, bytes] = [0, 0]
  for (let at = first; at < first + samples * width; at += width) {
    ticks += hasDuration ? view.getUint32(at) : defaultDuration
    bytes += hasSize ? view.getUint32(at + (hasDuration ? 4 : 0)) : (defaultSize ?? 0)
  }
  return { ticks, samples, bytes: hasSizes ? bytes : null, isSync }
}

/** Reads one field after another; null beyond the end. */
function fieldReader(view: DataView, from: number, end: number): (length: 4 | 8) => number | null {
  let at = from
  return (length) => {
    at += length
    if (at > end) return null
    return length === 8 ? uint64(view, at - 8) : view.getUint32(at - 4)
  }
}

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
export const uint64 = (view: DataView, at: number): number => view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4)
