import type { EventOf, FileFault, FileState, PartState, SessionState, TimedRange } from '@longtake/contracts'
import { isEqual } from './equal.ts'
import { endOf, subtractRanges, toRanges } from './ranges.ts'

/*
 * What finalizer found when it compared a file in storage with the status. Faults are times of the file; the parts that have
 * media there are undecodable with their cause.
 */

/** A file with what was found in it; the very same one where that is known, or older than what is. */
function verifiedFile(file: FileState, { commit, faults }: EventOf<'file-verified'>): FileState {
  const known = file.verification
  if (known !== undefined && (commit.number < known.commit.number || isEqual(known, { commit, faults }))) return file
  return { ...file, verification: { commit, faults } }
}

const hasSameFaults = (a: FileState, b: FileState): boolean => isEqual(a.verification?.faults ?? [], b.verification?.faults ?? [])

/** The faults of its files by part, each with the times that the part has in it. */
export function faultsByPart(files: readonly FileState[]): ReadonlyMap<string, readonly FileFault[]> {
  const byPart = new Map<string, FileFault[]>()
  for (const { parts, verification } of files) {
    for (const fault of verification?.faults ?? []) {
      for (const part of touched(parts, fault)) {
        const list = byPart.get(part.part) ?? []
        list.push({ ...fault, startMs: later(part.startMs, fault.startMs), endMs: earlier(part.endMs, fault.endMs) })
        byPart.set(part.part, list)
      }
    }
  }
  return byPart
}

/** Parts with media in that time. A fault is never dropped: where there is none it is of all that the file holds. */
function touched(parts: readonly PartState[], { startMs, endMs }: FileFault): readonly PartState[] {
  const withMedia = parts.filter((part) => part.startMs !== null && part.chunks > 0)
  const overlapping = withMedia.filter((part) => (endMs === null || part.startMs! <= endMs) && (startMs === null || part.endMs === null || part.endMs >= startMs))
  if (overlapping.length > 0) return overlapping
  return withMedia.length > 0 ? withMedia : parts.filter(({ chunks }) => chunks > 0)
}

/** The part with these faults among what of it cannot be played; which chunks that is nobody knows. */
export function withFaults<P extends Pick<PartState, 'stored' | 'undecodable'>>(part: P, faults: readonly FileFault[]): P {
  const [first] = faults
  if (first === undefined) return part
  const startMs = faults.reduce((least, fault) => (least === null || fault.startMs === null ? null : Math.min(least, fault.startMs)), first.startMs)
  const endMs = faults.reduce((latest, fault) => (latest === null || fault.endMs === null ? null : Math.max(latest, fault.endMs)), first.endMs)
  const known = toRanges(part.undecodable.map(({ from, to }) => [from, to]))
  const others = subtractRanges([[0, endOf(part.stored) - 1]], known)
  const found = others.map(([from, to]): TimedRange => ({ from, to, startMs, endMs, cause: first.cause }))
  return { ...part, undecodable: [...part.undecodable, ...found].sort((a, b) => a.from - b.from) }
}

/**
 * Whether this commit of a file cannot be sealed: its blob is gone, is not the one that was committed, or storage
 * refuses to read it.
 */
export function isUnsealable({ commit, verification }: FileState): boolean {
  if (verification?.commit.id !== commit.id) return false
  return verification.faults.some(({ cause }) => UNSEALABLE.has(cause))
}

const UNSEALABLE: ReadonlySet<FileFault['cause']> = new Set<FileFault['cause']>(['file-missing', 'file-changed', 'file-unavailable'])

const later = (a: number | null, b: number | null): number | null => (a === null || b === null ? (a ?? b) : Math.max(a, b))
const earlier = (a: number | null, b: number | null): number | null => (a === null || b === null ? (a ?? b) : Math.min(a, b))

/** A state with what was found in one of its files; the very same one where that changes nothing. */
export function fileVerified(tracks: SessionState['tracks'], event: EventOf<'file-verified'>): { tracks: SessionState['tracks']; hasSameFaults: boolean } {
  const files = Object.hasOwn(tracks, event.track) ? tracks[event.track]!.files : []
  const file = files.find((one) => one.file === event.file)
  if (file === undefined) return { tracks, hasSameFaults: true }
  const next = verifiedFile(file, event)
  if (next === file) return { tracks, hasSameFaults: true }
  return { tracks: { ...tracks, [event.track]: { files: files.map((one) => (one === file ? next : one)) } }, hasSameFaults: hasSameFaults(file, next) }
}

/** The tracks with the verification of files that were found to be sound; the same object if nothing changes. */
export function filesFoundSound(tracks: SessionState['tracks'], sound: NonNullable<EventOf<'session-finalized'>['sound']>): SessionState['tracks'] {
  return sound.reduce((all, { track, file: number, commit }) => {
    const files = Object.hasOwn(all, track) ? all[track]!.files : []
    const file = files.find((one) => one.file === number)
    // Faults are taken back by `file-verified` alone, which makes another version.
    if (file === undefined || (file.verification?.faults.length ?? 0) > 0) return all
    if (file.verification !== undefined && file.verification.commit.number >= commit.number) return all
    return { ...all, [track]: { files: files.map((one) => (one === file ? { ...file, verification: { commit, faults: [] } } : one)) } }
  }, tracks)
}
