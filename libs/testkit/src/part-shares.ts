import { placesByIdentity, shiftOf, TIME_TOLERANCE_MS, type Item } from './alignment.ts'
import { concat, firstDifference } from './bytes.ts'
import { MAX_OVERLAP_MS } from './check-frames.ts'
import { chunkMapOf, isMp4, type CheckedPart } from './check-recording.ts'
import { Findings } from './findings.ts'
import { readFinishedFile } from './finished-file.ts'
import { laterMp4 } from './mp4-shares.ts'
import { contiguousRuns, readRecordedPart, type RecordedPart } from './recorder-output.ts'

/**
 * Which parts each file holds: as the manifest of the track lists them, else where a part's frames (or, of MP4, first bytes) are. A part that
 * is nowhere goes to the last file, where it will be found missing. A part that goes on in a later file is in both, in each
 * with the frames that are to be there.
 */
export function partsOfFiles(files: readonly Uint8Array[], parts: readonly CheckedPart[], manifest?: { readonly files: readonly { readonly parts: readonly string[] }[] }): CheckedPart[][] {
  const groups = Array.from({ length: Math.max(1, files.length) }, (): CheckedPart[] => [])
  const last = groups.length - 1
  const contents = files.map((file) => new Set(readFinishedFile(file, new Findings()).frames.map(({ identity }) => identity)))
  for (const part of parts) {
    const named = manifest?.files.flatMap((file, index) => (file.parts.includes(part.part) && index <= last ? [index] : [])) ?? []
    const holders = named.length > 0 ? named : filesOf(part, files, contents)
    if (holders.length < 2) groups[holders[0] ?? last]!.push(part)
    else for (const [index, share] of sharesOf(part, holders, files)) groups[index]!.push(share)
  }
  return groups
}

function filesOf(part: CheckedPart, files: readonly Uint8Array[], contents: readonly ReadonlySet<string>[]): number[] {
  if (files.length < 2) return [0]
  const chunks = chunkMapOf(part.chunks)
  const first = chunks.get(0)
  const identities = [...new Set(readRecordedPart(chunks).frames.map(({ identity }) => identity))]
  if (identities.length === 0 && first !== undefined && isMp4(first)) {
    return best(files.map((file) => sharedStart(file, concat(contiguousRuns(chunks).map(({ bytes }) => bytes)))))
  }
  const [most] = best(contents.map((content) => identities.filter((identity) => content.has(identity)).length))
  if (most === undefined) return []
  const elsewhere = identities.filter((identity) => !contents[most]!.has(identity))
  return contents.flatMap((content, index) => (index === most || elsewhere.some((identity) => content.has(identity)) ? [index] : []))
}

function best(scores: readonly number[]): number[] {
  const most = Math.max(...scores)
  return most === 0 ? [] : [scores.indexOf(most)]
}

/** A file in which a part goes on may repeat what its first frames need to be decoded and heard, up to so much. */
const MAX_REPEATED_MS = 60_000

/** Which of the part's frames each of its files is to have: those that are there at their time; what is nowhere, where those before it are. */
function sharesOf(part: CheckedPart, holders: readonly number[], files: readonly Uint8Array[]): Map<number, CheckedPart> {
  const chunks = chunkMapOf(part.chunks)
  if (isMp4(chunks.get(0))) return verbatimShares(part, concat(contiguousRuns(chunks).map(({ bytes }) => bytes)), holders, files)
  const recorded = readRecordedPart(chunks).frames
  const read = new Map(holders.map((index) => [index, framesThere(recorded, readFinishedFile(files[index]!, new Findings()).frames)]))
  const there = new Map([...read].map(([index, { frames }]) => [index, frames]))
  const frames = new Map(holders.map((index) => [index, new Set<number>()]))
  const excused = undecodableAlone(recorded, part, (i) => holders.some((index) => there.get(index)!.has(i)))
  let before = holders[0]!
  for (const i of recorded.keys()) {
    if (excused.has(i)) continue
    const [first] = holders.filter((index) => there.get(index)!.has(i))
    before = first ?? before
    frames.get(before)!.add(i)
  }
  const squeezed = new Map<number, Map<number, number>>()
  for (const [nth, index] of holders.entries()) {
    const own = [...frames.get(index)!].map((i) => recorded[i]!.timeMs)
    const isNear = (i: number): boolean => own.some((timeMs) => Math.abs(timeMs - recorded[i]!.timeMs) <= MAX_REPEATED_MS)
    for (const i of there.get(index)!) if (isNear(i)) frames.get(index)!.add(i)
    // Frames that repeat an earlier file have the times of that file, even if they were squeezed there for an
    // overlapping part.
    const repeated = holders.slice(0, nth).flatMap((earlier) => [...repeatedSqueezed(recorded, read.get(earlier)!, read.get(index)!)]).filter(([i]) => isNear(i))
    for (const [i] of repeated) frames.get(index)!.add(i)
    squeezed.set(index, new Map(repeated))
  }
  return new Map(
    holders.map((index) => [index, { ...part, share: { frames: frames.get(index)!, squeezedMs: squeezed.get(index)!, bytes: { from: 0 }, isFirst: index === holders[0] } }]),
  )
}

/**
 * For MP4: the first file has the beginning of the recording unchanged; each later one continues where the one before
 * ends, or earlier.
 */
function verbatimShares(part: CheckedPart, came: Uint8Array, holders: readonly number[], files: readonly Uint8Array[]): Map<number, CheckedPart> {
  let from = 0
  return new Map(
    holders.map((index, nth) => {
      const to = nth === 0 ? files[index]!.length : laterMp4(came, files[index]!, from).to
      const share = { frames: new Set<number>(), bytes: index === holders.at(-1) ? { from } : { from, to }, isFirst: nth === 0 }
      from = to
      return [index, { ...part, share }]
    }),
  )
}

/**
 * Pictures that are in no file, up to a keyframe, and are reported as undecodable: what they refer to is in a file that could not
 * be read when the part went on in the next one.
 */
function undecodableAlone(recorded: RecordedPart['frames'], { gaps = [] }: CheckedPart, isThere: (index: number) => boolean): Set<number> {
  const excused = new Set<number>()
  let isBeforeKeyframe = true
  for (const [i, { kind, key, chunks: [from, to] }] of [...recorded.entries()].toReversed()) {
    if (kind !== 'video') continue
    const isReported = gaps.some((gap) => gap.kind === 'undecodable' && gap.from <= to && gap.to >= from)
    isBeforeKeyframe = key || (isBeforeKeyframe && isReported && !isThere(i))
    if (isBeforeKeyframe && !key) excused.add(i)
  }
  return excused
}

/** The frames of a part in one of its files. */
interface FramesThere {
  readonly inFile: readonly Item[]
  readonly places: ReadonlyMap<string, readonly number[]>
  /** File time minus recorded time of most of its frames, ms; null if it has none. */
  readonly shiftMs: number | null
  /** Indexes of the recorded frames that the file has with that shift, and of the same frames in the file. */
  readonly frames: ReadonlySet<number>
  readonly taken: ReadonlySet<number>
}

function framesThere(recorded: readonly Item[], inFile: readonly Item[]): FramesThere {
  const places = placesByIdentity(inFile)
  const shiftMs = shiftOf(recorded, inFile, places, 0)
  const [frames, taken] = [new Set<number>(), new Set<number>()]
  for (const [i, { identity, timeMs }] of shiftMs === null ? [] : recorded.entries()) {
    for (const place of places.get(identity) ?? []) {
      if (Math.abs(inFile[place]!.timeMs - timeMs - shiftMs!) > TIME_TOLERANCE_MS) continue
      frames.add(i)
      taken.add(place)
    }
  }
  return { inFile, places, shiftMs, frames, taken }
}

/**
 * Frames that two files have at the same shifted time, with the shift in ms: an overlapping part moved them at the end
 * of their part in the earlier file, and the later file repeats them.
 */
function* repeatedSqueezed(recorded: readonly Item[], earlier: FramesThere, later: FramesThere): Generator<[index: number, byMs: number]> {
  for (const [i, frame] of recorded.entries()) {
    if (earlier.frames.has(i) || later.frames.has(i)) continue
    const there = squeezesOf(frame, earlier)
    const byMs = squeezesOf(frame, later).find((here) => there.some((ms) => Math.abs(ms - here) <= TIME_TOLERANCE_MS))
    if (byMs !== undefined) yield [i, byMs]
  }
}

function squeezesOf({ identity, timeMs }: Item, { inFile, places, shiftMs, taken }: FramesThere): number[] {
  if (shiftMs === null) return []
  const others = (places.get(identity) ?? []).filter((place) => !taken.has(place))
  return others.map((place) => inFile[place]!.timeMs - timeMs - shiftMs).filter((byMs) => Math.abs(byMs) <= MAX_OVERLAP_MS)
}

function sharedStart(file: Uint8Array, came: Uint8Array): number {
  const at = firstDifference(file, came)
  return at < 0 ? file.length : at
}
