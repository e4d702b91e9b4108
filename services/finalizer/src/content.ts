import type { FileFault, FileState, PartState } from '@longtake/contracts'
import type { Cue, FileHeader, FrameTime } from '@longtake/webm'

/** One block of media as it was read. */
export interface ObservedBlock {
  /** Bytes of media before it. */
  readonly offset: number
  readonly bytes: number
  /** Whether its bytes match the digest in its id. */
  readonly isIntact: boolean
  /** Null where its bytes are no whole clusters. */
  readonly frames: readonly FrameTime[] | null
}

/** What was read of a file in storage. */
export interface ObservedFile {
  readonly bytes: number
  /** Null where the first block is no header of a file. */
  readonly header: FileHeader | null
  /** Whether the bytes of the first block match the digest in its id. */
  readonly isHeaderIntact: boolean
  /** Those that were read, in order. */
  readonly blocks: readonly ObservedBlock[]
  /** Whether these are all blocks of the file. */
  readonly isComplete: boolean
}

/** Times are whole milliseconds, and the header's duration is that of the status. */
const ROUNDING_MS = 1
/** Where two parts meet, frames may be squeezed together by so much. */
const SQUEEZED_MS = 250
/** A part's first frame may come this much before that of the part ahead of it, whose recorder started earlier. */
const START_MS = 1_000
/** Neighbouring faults of one cause are reported as one, so that a file that is damaged everywhere does not fill a status. */
const MAX_RANGES = 20

const KINDS = ['video', 'audio'] as const
type Kind = (typeof KINDS)[number]

/**
 * Whether the status has frame counts of a file to compare with: not of MP4, nor of files that earlier versions wrote.
 */
const isComparable = ({ parts }: FileState): boolean => parts.some(({ media }) => media !== undefined)

/** Where the content of a file differs from its status; empty if they agree. */
export function contentFaults(file: FileState, observed: ObservedFile): FileFault[] {
  const { header, isHeaderIntact, blocks } = observed
  if (!isComparable(file)) return [...damagedHeader(isHeaderIntact), ...bounded(damagedBlocks(blocks, null, file).faults, 'unreadable')]
  if (header === null) return [{ startMs: null, endMs: null, cause: 'unreadable', detail: 'its first block is no header' }]
  const found = [
    damagedBlocks(blocks, header, file),
    ...sizeFaults(observed, header),
    ...spanFaults(file, blocks, header),
    ...countFaults(file, observed, header),
    ...cueFaults(file, blocks, header),
  ].flatMap(({ faults, cause }) => bounded(faults, cause))
  return [...damagedHeader(isHeaderIntact), ...found]
}

/** The first block of a file describes all of it. */
const damagedHeader = (isIntact: boolean): FileFault[] =>
  isIntact ? [] : [{ startMs: null, endMs: null, cause: 'unreadable', detail: 'its first block has other bytes than were written' }]

interface Found {
  readonly cause: FileFault['cause']
  readonly faults: readonly Omit<FileFault, 'cause'>[]
}

/**
 * Blocks with other bytes than were written, or without clusters.
 * @param header null if only the bytes are compared
 */
function damagedBlocks(blocks: readonly ObservedBlock[], header: FileHeader | null, { durationMs }: FileState): Found {
  const faults = blocks.flatMap(({ offset, bytes, isIntact, frames }): Found['faults'] => {
    if (isIntact && (header === null || frames !== null)) return []
    const detail = `${bytes} bytes behind ${offset} bytes of media are ${isIntact ? 'no clusters' : 'not those that were written'}`
    if (header === null) return [{ startMs: null, endMs: null, detail }]
    // Where it stands in time is known by the cues around it.
    const startMs = header.cues.findLast(({ clusterOffset }) => clusterOffset <= offset)?.timeMs ?? 0
    const endMs = header.cues.find(({ clusterOffset }) => clusterOffset >= offset + bytes)?.timeMs ?? durationMs
    return [{ startMs, endMs, detail }]
  })
  return { cause: 'unreadable', faults }
}

function sizeFaults({ bytes }: ObservedFile, header: FileHeader): Found[] {
  const isWrong = header.fileBytes !== bytes
  const detail = `its Segment ends at byte ${header.fileBytes}, the file at ${bytes}`
  return isWrong ? [{ cause: 'wrong-span', faults: [{ startMs: null, endMs: null, detail }] }] : []
}

function spanFaults(file: FileState, blocks: readonly ObservedBlock[], header: FileHeader): Found[] {
  const faults: Omit<FileFault, 'cause'>[] = []
  const isOff = !(Math.abs(header.durationMs - file.durationMs) <= ROUNDING_MS)
  if (isOff) faults.push({ startMs: null, endMs: null, detail: `its header says ${header.durationMs} ms, the status ${file.durationMs} ms` })
  const [first, last] = [blocks[0]?.frames, blocks.at(-1)?.frames]
  // Blocks that cannot be read are reported already.
  if (first === null || last === null) return [{ cause: 'wrong-span', faults }]
  if (first === undefined || last === undefined || first.length === 0 || last.length === 0) {
    return [{ cause: 'wrong-span', faults: [...faults, { startMs: null, endMs: null, detail: 'it begins or ends without a frame' }] }]
  }
  const firstMs = earliestOf(first)
  const statedMs = file.parts.reduce((least, { startMs }) => Math.min(least, startMs ?? Infinity), Infinity)
  if (Math.abs(firstMs - statedMs) > START_MS) faults.push({ ...between(firstMs, statedMs), detail: `its first frame is at ${firstMs} ms, the status says ${statedMs} ms` })
  const latestMs = latestOf(last, header, null)
  if (latestMs > file.durationMs) faults.push({ ...between(file.durationMs, latestMs), detail: `it has a frame at ${latestMs} ms and is to last ${file.durationMs} ms` })
  const fromMs = earliestOf(last)
  for (const kind of KINDS) {
    const endMs = lastOf(file.parts, kind)
    const foundMs = latestOf(last, header, kind)
    // A kind that ended earlier did so in a block that was perhaps not read.
    if (endMs === null || (foundMs === -Infinity && endMs <= fromMs + SQUEEZED_MS)) continue
    if (Math.abs(foundMs - endMs) <= SQUEEZED_MS) continue
    const found = foundMs === -Infinity ? `there is no ${kind} from ${fromMs} ms on` : `its last ${kind} frame is at ${foundMs} ms`
    faults.push({ ...between(Math.max(foundMs, fromMs), endMs), detail: `${found}, the status says ${endMs} ms` })
  }
  return [{ cause: 'wrong-span', faults }]
}

const between = (a: number, b: number): Pick<FileFault, 'startMs' | 'endMs'> => ({ startMs: Math.min(a, b), endMs: Math.max(a, b) })
const earliestOf = (frames: readonly FrameTime[]): number => frames.reduce((least, { timeMs }) => Math.min(least, timeMs), Infinity)

/** When the last frame of a kind is by the status; null where that is not known. */
function lastOf(parts: readonly PartState[], kind: Kind): number | null {
  const stated = parts.flatMap(({ media, startMs }) => (startMs === null || media?.[kind] === undefined ? [] : [media[kind].lastMs]))
  if (stated.length === 0) return null
  return stated.reduce<number | null>((latest, lastMs) => (latest === null || lastMs === null ? null : Math.max(latest, lastMs)), -Infinity)
}

function latestOf(frames: readonly FrameTime[], header: FileHeader, kind: Kind | null): number {
  const numbers = numbersOf(header, kind)
  return frames.reduce((latest, { track, timeMs }) => (numbers.has(track) ? Math.max(latest, timeMs) : latest), -Infinity)
}

const numbersOf = ({ tracks }: FileHeader, kind: Kind | null): ReadonlySet<number> =>
  new Set(tracks.filter(({ type }) => kind === null || type === kind).map(({ number }) => number))

/** Where all blocks were read: as many frames as the parts are stated to have. */
function countFaults({ parts }: FileState, { blocks, isComplete }: ObservedFile, header: FileHeader): Found[] {
  if (!isComplete || blocks.some(({ frames }) => frames === null)) return []
  const frames = blocks.flatMap((block) => block.frames ?? [])
  const faults = KINDS.flatMap((kind) => {
    const numbers = numbersOf(header, kind)
    const found = frames.filter(({ track }) => numbers.has(track))
    const placed = parts.filter(({ startMs, media }) => startMs !== null && media?.[kind] !== undefined)
    const stated = placed.map(({ media }) => media![kind]!.frames)
    const sum = stated.reduce<number | null>((all, one) => (all === null || one === null ? null : all + one), 0)
    if (sum === null || sum === found.length) return []
    // Parts may overlap by a little: those that differ by themselves, or all of them.
    const own = placed.filter(({ startMs, endMs, media }) => found.filter(({ timeMs }) => timeMs >= startMs! && timeMs < endMs!).length !== media![kind]!.frames)
    return (own.length === 0 ? placed : own).map(({ startMs, endMs }) => ({ startMs, endMs, detail: `${found.length} ${kind} frames in the file, ${sum} in the status` }))
  })
  return [{ cause: 'wrong-frames', faults }]
}

/** Cues that point into blocks that were read must meet their frame; all must point into the media. */
function cueFaults({ durationMs }: FileState, blocks: readonly ObservedBlock[], { cues, fileBytes }: FileHeader): Found[] {
  const pointedTo = new Set(cues.map(({ clusterOffset }) => clusterOffset))
  const places = new Map<string, FrameTime>()
  for (const { offset, frames } of blocks) {
    for (const frame of frames ?? []) {
      const cluster = offset + frame.cluster
      if (pointedTo.has(cluster)) places.set(`${cluster} ${frame.position}`, frame)
    }
  }
  const isSound = (cue: Cue): boolean => {
    if (!(cue.clusterOffset >= 0 && cue.clusterOffset < fileBytes)) return false
    const block = blocks.find(({ offset, bytes }) => cue.clusterOffset >= offset && cue.clusterOffset < offset + bytes)
    // What is in a block that cannot be read is reported already.
    if (block === undefined || block.frames === null) return true
    const frame = places.get(`${cue.clusterOffset} ${cue.relativePosition}`)
    return frame !== undefined && frame.track === cue.track && frame.timeMs === cue.timeMs
  }
  const faults = cues.flatMap((cue, i) => {
    if (isSound(cue)) return []
    const endMs = cues[i + 1]?.timeMs ?? durationMs
    return [{ ...between(cue.timeMs, endMs), detail: `no frame of track ${cue.track} at ${cue.timeMs} ms where the index points to` }]
  })
  return [{ cause: 'wrong-index', faults }]
}

/** Those that touch as one, and at last all as one. */
function bounded(faults: Found['faults'], cause: FileFault['cause']): FileFault[] {
  const joined: FileFault[] = []
  for (const fault of faults) {
    const last = joined.at(-1)
    const touches = last !== undefined && last.endMs !== null && fault.startMs !== null && last.startMs !== null && fault.startMs <= last.endMs && fault.startMs >= last.startMs
    if (touches || (last !== undefined && joined.length === MAX_RANGES)) joined[joined.length - 1] = { ...last!, endMs: latest(last!.endMs, fault.endMs) }
    else joined.push({ ...fault, cause })
  }
  return joined
}

const latest = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : Math.max(a, b))
