import { placesByIdentity, shiftOf, TIME_TOLERANCE_MS, type Item } from './alignment.ts'
import { concat, firstDifference } from './bytes.ts'
import { chunkMapOf, isMp4, type CheckedPart } from './check-recording.ts'
import { Findings } from './findings.ts'
import { readFinishedFile } from './finished-file.ts'
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
  const recorded = readRecordedPart(chunkMapOf(part.chunks)).frames
  const there = new Map(holders.map((index) => [index, framesThere(recorded, readFinishedFile(files[index]!, new Findings()).frames)]))
  const frames = new Map(holders.map((index) => [index, new Set<number>()]))
  const excused = undecodableAlone(recorded, part, (i) => holders.some((index) => there.get(index)!.has(i)))
  let before = holders[0]!
  for (const i of recorded.keys()) {
    if (excused.has(i)) continue
    const [first] = holders.filter((index) => there.get(index)!.has(i))
    before = first ?? before
    frames.get(before)!.add(i)
  }
  for (const index of holders) {
    const own = [...frames.get(index)!].map((i) => recorded[i]!.timeMs)
    for (const i of there.get(index)!) if (own.some((timeMs) => Math.abs(timeMs - recorded[i]!.timeMs) <= MAX_REPEATED_MS)) frames.get(index)!.add(i)
  }
  let from = 0
  return new Map(
    holders.map((index) => {
      const bytes = index === holders.at(-1) ? { from } : { from, to: (from += files[index]!.length) }
      return [index, { ...part, share: { frames: frames.get(index)!, bytes, isFirst: index === holders[0] } }]
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

/** Indexes of recorded frames that a file has at the time at which it has most of them. */
function framesThere(recorded: readonly Item[], inFile: readonly Item[]): Set<number> {
  const places = placesByIdentity(inFile)
  const shift = shiftOf(recorded, inFile, places, 0)
  if (shift === null) return new Set()
  const isThere = ({ identity, timeMs }: Item): boolean => (places.get(identity) ?? []).some((place) => Math.abs(inFile[place]!.timeMs - timeMs - shift) <= TIME_TOLERANCE_MS)
  return new Set(recorded.flatMap((frame, i) => (isThere(frame) ? [i] : [])))
}

function sharedStart(file: Uint8Array, came: Uint8Array): number {
  const at = firstDifference(file, came)
  return at < 0 ? file.length : at
}
