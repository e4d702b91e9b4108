import type { Manifest, PublicSession } from '@longtake/contracts'
import { checkManifest, checkStatus, type SessionTruth, type TrackFiles } from './check-documents.ts'
import { concat, firstDifference } from './bytes.ts'
import { addSummaries, checkRecording, chunkMapOf, isMp4, type CheckedPart, type RecordingSummary } from './check-recording.ts'
import { Findings, type Finding } from './findings.ts'
import { readFinishedFile } from './finished-file.ts'
import type { PartLedger } from './ledger.ts'
import { contiguousRuns, readRecordedPart } from './recorder-output.ts'

export interface SessionToCheck extends SessionTruth {
  status: PublicSession
  /** Of the version that the status names as finalized; required once there is one. */
  manifest?: Manifest
  /** The bytes of every track's files, in the order of the status. */
  files: TrackFiles
}

export interface SessionVerdict {
  findings: Finding[]
  summary: RecordingSummary
}

/** Everything at once: each file frame by frame, the status and the manifest, against what was acknowledged. */
export function checkSession(session: SessionToCheck): SessionVerdict {
  const { status, manifest, files, finished } = session
  const findings = [...checkStatus(status, session, files)]
  if (manifest !== undefined) findings.push(...checkManifest(manifest, session, files))
  const summaries: RecordingSummary[] = []
  for (const track of new Set(session.parts.map((part) => part.track))) {
    const parts = session.parts.filter((part) => part.track === track).map((ledger) => checkedPart(ledger, status))
    for (const [index, group] of partsOfFiles(files[track] ?? [], parts, manifest?.tracks[track]).entries()) {
      const verdict = checkRecording({ file: files[track]?.[index] ?? new Uint8Array(0), parts: group, growing: !finished })
      findings.push(...verdict.findings.map((found) => ({ ...found, message: `${track}, file ${index}: ${found.message}` })))
      summaries.push(verdict.summary)
    }
  }
  return { findings, summary: addSummaries(summaries) }
}

function checkedPart(ledger: PartLedger, status: PublicSession): CheckedPart {
  const told = status.tracks[ledger.track]?.parts.find(({ part }) => part === ledger.part)
  return {
    part: ledger.part,
    startedAt: ledger.startedAt,
    chunks: ledger.acknowledged,
    unacknowledged: new Map([...ledger.made].filter(([seq]) => !ledger.acknowledged.has(seq))),
    gaps: told?.gaps ?? [],
    ...(ledger.closed === null ? {} : { length: ledger.closed.chunks }),
  }
}

/**
 * Which parts each file holds: as the manifest says, else where most of a part's frames (or, of MP4, first bytes) are. A part that is nowhere goes
 * to the last file, where it will be found missing.
 */
export function partsOfFiles(files: readonly Uint8Array[], parts: readonly CheckedPart[], told?: Manifest['tracks'][string]): CheckedPart[][] {
  const groups = Array.from({ length: Math.max(1, files.length) }, (): CheckedPart[] => [])
  const last = groups.length - 1
  const contents = files.map((file) => new Set(readFinishedFile(file, new Findings()).frames.map(({ identity }) => identity)))
  for (const part of parts) {
    const named = told?.files.findIndex((file) => file.parts.includes(part.part)) ?? -1
    const index = named >= 0 ? named : fileOf(part, files, contents)
    groups[index >= 0 && index <= last ? index : last]?.push(part)
  }
  return groups
}

function fileOf(part: CheckedPart, files: readonly Uint8Array[], contents: readonly ReadonlySet<string>[]): number {
  if (files.length < 2) return 0
  const chunks = chunkMapOf(part.chunks)
  const first = chunks.get(0)
  const identities = [...new Set(readRecordedPart(chunks).frames.map(({ identity }) => identity))]
  const scores =
    identities.length === 0 && first !== undefined && isMp4(first)
      ? files.map((file) => sharedStart(file, concat(contiguousRuns(chunks).map(({ bytes }) => bytes))))
      : contents.map((content) => identities.filter((identity) => content.has(identity)).length)
  const best = Math.max(...scores)
  return best === 0 ? -1 : scores.indexOf(best)
}

function sharedStart(file: Uint8Array, came: Uint8Array): number {
  const at = firstDifference(file, came)
  return at < 0 ? file.length : at
}
