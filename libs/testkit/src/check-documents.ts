import type { Manifest, PublicSession } from '@longtake/contracts'
import { checkGaps, type ReportedGap } from './check-gaps.ts'
import { isMp4 } from './check-recording.ts'
import { Findings, type Finding } from './findings.ts'
import { readFinishedFile } from './finished-file.ts'
import { lengthOf, type PartLedger } from './ledger.ts'
import { readRecordedPart } from './recorder-output.ts'

/** What is known to be true of a session, from the side of those who recorded it. */
export interface SessionTruth {
  session: string
  /** Every part of it, of all clients (`TestClient.parts`). */
  parts: readonly PartLedger[]
  /** Its end was declared, and all that follows from that had time to happen. */
  finished: boolean
}

/** The bytes of each track's files, in the order in which the document names them. */
export type TrackFiles = Readonly<Record<string, readonly Uint8Array[]>>

/** How far a told duration may be from the file's own; both are rounded. */
const DURATION_TOLERANCE_MS = 2

/** Compares what `GET /v1/sessions/{id}` says with what was recorded, and with the files when they are given. */
export function checkStatus(status: PublicSession, truth: SessionTruth, files?: TrackFiles): Finding[] {
  const findings = new Findings()
  if (status.id !== truth.session) findings.add('document', `the status is of session ${status.id}`)
  if (status.finalizedVersion > status.version) findings.add('document', `version ${status.finalizedVersion} is finalized, ${status.version} is the newest`)
  checkPartNames(truth, Object.entries(status.tracks).flatMap(([track, { parts }]) => parts.map(({ part }) => `${track}/${part}`)), findings)
  const gaps: ReportedGap[] = []
  for (const [track, told] of Object.entries(status.tracks)) {
    for (const part of told.parts) {
      gaps.push(...part.gaps)
      const ledger = truth.parts.find((one) => one.track === track && one.part === part.part)
      if (ledger === undefined) continue
      checkDeclared(ledger, part.closed ? { chunks: part.chunks ?? -1, clean: part.clean } : null, findings)
      checkStoredCount(ledger, part.stored, findings)
      checkPartGaps(ledger, part.gaps, truth.finished, findings)
    }
    checkTimeline(track, told, findings)
    checkFiles(track, told.files, files?.[track], findings)
    const bytes = told.files.reduce((sum, file) => sum + file.bytes, 0)
    if (told.bytes !== bytes) findings.add('document', `track ${track} is said to have ${told.bytes} bytes, its files ${bytes}`)
  }
  checkSessionStatus(status.status, truth, gaps, findings)
  return findings.all
}

/** Compares a manifest with what was recorded, and with the sealed files when they are given. */
export function checkManifest(manifest: Manifest, truth: SessionTruth, files?: TrackFiles): Finding[] {
  const findings = new Findings()
  if (manifest.session !== truth.session) findings.add('document', `the manifest is of session ${manifest.session}`)
  checkPartNames(truth, Object.entries(manifest.tracks).flatMap(([track, { parts }]) => parts.map(({ part }) => `${track}/${part}`)), findings)
  for (const [track, told] of Object.entries(manifest.tracks)) {
    for (const part of told.parts) {
      const ledger = truth.parts.find((one) => one.track === track && one.part === part.part)
      if (ledger === undefined) continue
      checkDeclared(ledger, part.closed, findings)
      checkStoredCount(ledger, part.chunks, findings)
      checkStoredRanges(ledger, part, findings)
      checkPartGaps(ledger, manifest.gaps.filter((gap) => gap.track === track && gap.part === part.part), true, findings)
      const holders = told.files.filter((file) => file.parts.includes(part.part)).length
      if (holders === 0 && hasMedia(ledger.acknowledged)) findings.add('document', `part ${part.part} is in no file of track ${track}`, { part: part.part })
    }
    for (const { blob, snapshot } of told.files) if (snapshot === '') findings.add('document', `${blob} is not sealed`)
    checkFiles(track, told.files, files?.[track], findings)
  }
  checkSessionStatus(manifest.status, truth, manifest.gaps, findings)
  return findings.all
}

/** A recorder that died before its first whole frame left nothing that could be in a file. */
export function hasMedia(chunks: ReadonlyMap<number, Uint8Array>): boolean {
  return isMp4(chunks.get(0)) || readRecordedPart(chunks).frames.length > 0
}

function checkPartNames({ parts }: SessionTruth, told: readonly string[], findings: Findings): void {
  const known = new Set(parts.map(({ track, part }) => `${track}/${part}`))
  for (const name of told) if (!known.has(name)) findings.add('part-unknown', `${name} is told of; nobody recorded it`)
  for (const name of known) {
    const times = told.filter((one) => one === name).length
    if (times === 0) findings.add('part-missing', `${name} was recorded and is not told of`)
    if (times > 1) findings.add('document', `${name} is told of ${times} times`)
  }
}

function checkDeclared({ part, closed }: PartLedger, told: { chunks: number; clean: boolean } | null, findings: Findings): void {
  const say = (one: { chunks: number; clean: boolean } | null): string => (one === null ? 'open' : `${one.chunks} chunks${one.clean ? '' : ', not clean'}`)
  if (say(closed) !== say(told)) findings.add('declared-length', `part ${part} was declared ${say(closed)}, and is told as ${say(told)}`, { part })
}

/** Everything acknowledged is stored; what was only sent may be. */
function checkStoredCount({ part, acknowledged, made }: PartLedger, stored: number, findings: Findings): void {
  if (stored >= acknowledged.size && stored <= made.size) return
  findings.add('stored-count', `${stored} chunks of part ${part} are said to be stored; ${acknowledged.size} were acknowledged, ${made.size} made`, {
    part, count: Math.max(1, acknowledged.size - stored),
  })
}

function checkStoredRanges(ledger: PartLedger, told: Manifest['tracks'][string]['parts'][number], findings: Findings): void {
  const { part, acknowledged, made } = ledger
  const stored = new Set<number>()
  let before = -2
  for (const [from, to] of told.stored) {
    if (from > to || from <= before + 1) findings.add('document', `the stored ranges of part ${part} are not sorted, joined and disjoint at ${from}–${to}`, { part })
    for (let seq = from; seq <= to; seq += 1) stored.add(seq)
    before = Math.max(before, to)
  }
  const absent = [...acknowledged.keys()].filter((seq) => !stored.has(seq)).toSorted((a, b) => a - b)
  const invented = [...stored].filter((seq) => !made.has(seq))
  for (const [seqs, what] of [[absent, 'acknowledged, but not in'], [invented, 'never made, but in']] as const) {
    const [first] = seqs
    if (first !== undefined) findings.add('stored-ranges', `chunk ${first} of part ${part}${seqs.length > 1 ? ` and ${seqs.length - 1} more are` : ' is'} ${what} the stored ranges`, { part, count: seqs.length, chunks: [first, seqs.at(-1) ?? first] })
  }
  if (stored.size !== told.chunks) findings.add('document', `part ${part} has ${told.chunks} chunks, its stored ranges ${stored.size}`, { part })
  const bytes = [...stored].reduce((sum, seq) => sum + (made.get(seq)?.length ?? 0), 0)
  if (invented.length === 0 && absent.length === 0 && told.bytes !== bytes) findings.add('stored-bytes', `part ${part} has ${told.bytes} bytes; its stored chunks have ${bytes}`, { part })
}

/** `settled`: nothing is on its way any more, so that every hole must be told of. */
function checkPartGaps(ledger: PartLedger, gaps: readonly ReportedGap[], settled: boolean, findings: Findings): void {
  for (const { from, to } of gaps) if (from > to) findings.add('document', `a gap of part ${ledger.part} from ${from} to ${to}`, { part: ledger.part })
  if (!settled) return
  const unacknowledged = [...ledger.made].filter(([seq]) => !ledger.acknowledged.has(seq) && !gaps.some(({ from, to }) => from <= seq && seq <= to))
  checkGaps({
    part: ledger.part, acknowledged: ledger.acknowledged, present: new Map([...ledger.acknowledged, ...unacknowledged]), gaps,
    ...(ledger.closed === null ? {} : { length: ledger.closed.chunks }),
  }, findings)
}

/** Media time rises. So does the time since the session's start within a file; files of two recorders lie beside each other. */
function checkTimeline(track: string, { timeline, files }: Pick<PublicSession['tracks'][string], 'timeline' | 'files'>, findings: Findings): void {
  let playedMs = 0
  const begins = files.map(({ durationMs }) => (playedMs += durationMs) - durationMs)
  const fileOf = (mediaMs: number): number => begins.filter((begin) => begin <= mediaMs).length
  for (const [index, { mediaMs, offsetMs }] of timeline.entries()) {
    const before = timeline[index - 1]
    if (before !== undefined && (mediaMs <= before.mediaMs || (offsetMs <= before.offsetMs && fileOf(mediaMs) === fileOf(before.mediaMs)))) {
      findings.add('document', `the timeline of track ${track} does not rise at ${mediaMs} → ${offsetMs} ms`)
    }
  }
}

function checkFiles(track: string, told: readonly { bytes: number; durationMs: number; mimeType: string }[], files: readonly Uint8Array[] | undefined, findings: Findings): void {
  if (files === undefined) return
  if (files.length !== told.length) findings.add('file-facts', `track ${track} is told to have ${told.length} files; there are ${files.length}`)
  for (const [index, bytes] of files.entries()) {
    const facts = told[index]
    if (facts === undefined) continue
    const name = `file ${index} of track ${track}`
    if (facts.bytes !== bytes.length) findings.add('file-facts', `${name} is told to have ${facts.bytes} bytes; it has ${bytes.length}`)
    if (facts.mimeType.includes('mp4') !== isMp4(bytes)) findings.add('file-facts', `${name} is told to be ${facts.mimeType}`)
    // What is wrong inside of the file is for `checkRecording` to say.
    const durationMs = isMp4(bytes) ? null : readFinishedFile(bytes, new Findings()).durationMs
    if (durationMs !== null && Math.abs(durationMs - facts.durationMs) > DURATION_TOLERANCE_MS) {
      findings.add('file-facts', `${name} is told to last ${facts.durationMs} ms; its header says ${durationMs}`)
    }
  }
}

function checkSessionStatus(told: string, truth: SessionTruth, gaps: readonly ReportedGap[], findings: Findings): void {
  const holds = (chunks: (ledger: PartLedger) => ReadonlyMap<number, unknown>): boolean =>
    truth.parts.every((ledger) => ledger.closed?.clean === true && chunks(ledger).size >= ledger.closed.chunks && lengthOf(chunks(ledger)) === ledger.closed.chunks)
  const holes = gaps.filter(({ kind }) => kind !== 'not-recorded').length
  if (told === 'complete' && (!truth.finished || holes > 0 || !holds(({ made }) => made))) {
    const why = truth.finished ? (holes > 0 ? `has ${holes} gaps` : 'has parts that are not whole') : 'goes on'
    findings.add('session-status', `the session is said to be complete, and ${why}`)
  } else if (told !== 'complete' && truth.finished && holes === 0 && holds(({ acknowledged }) => acknowledged)) {
    findings.add('session-status', `the session is said to be ${told}; every chunk of it was acknowledged`)
  }
}
