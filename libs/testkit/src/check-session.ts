import type { Manifest, PublicSession } from '@longtake/contracts'
import { checkManifest, checkStatus, hasMedia, type SessionTruth, type TrackFiles } from './check-documents.ts'
import { addSummaries, checkRecording, chunkMapOf, type CheckedPart, type RecordingSummary } from './check-recording.ts'
import type { Finding } from './findings.ts'
import type { PartLedger } from './ledger.ts'
import { partsOfFiles } from './part-shares.ts'

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
    // Without their first chunks there may be no frame that a file could hold.
    if ((files[track] ?? []).length === 0 && !parts.some(({ chunks }) => hasMedia(chunkMapOf(chunks)))) continue
    for (const [index, group] of partsOfFiles(files[track] ?? [], parts, manifest?.tracks[track]).entries()) {
      const verdict = checkRecording({ file: files[track]?.[index] ?? new Uint8Array(0), parts: group, growing: !finished, ...startOf(status, track, index) })
      findings.push(...verdict.findings.map((found) => ({ ...found, message: `${track}, file ${index}: ${found.message}` })))
      summaries.push(verdict.summary)
    }
  }
  return { findings, summary: addSummaries(summaries) }
}

function startOf({ startedAt, tracks }: PublicSession, track: string, file: number): { startedAt?: string } {
  const offsetMs = tracks[track]?.files[file]?.startOffsetMs
  return startedAt === null || offsetMs === undefined ? {} : { startedAt: new Date(Date.parse(startedAt) + offsetMs).toISOString() }
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
