import { withDefaultGraces, type FileState, type GapState, type PartState, type PublicSession, type SessionState } from '@longtake/contracts'
import { partsOf, type PlacedPart, unseenParts } from './parts.ts'
import { pendingRenditions } from './renditions.ts'
import { filesOf } from './session.ts'
import { epochMs } from './time.ts'

/** Where clients find things; made by whoever serves them. */
export interface RecordingUrls {
  file(session: string, track: string, file: number, generation: number): string
  rendition(session: string, track: string, kind: 'poster' | 'mp4', file: number): string
}

type PublicTrack = PublicSession['tracks'][string]
type PublicPart = PublicTrack['parts'][number]

/** The session as `GET /v1/sessions/{id}` shows it. Of files only those that can be played. */
export function toPublicSession(state: SessionState, urls: RecordingUrls): PublicSession {
  const { session, status, version, finalizedVersion, startedAt, endedAt, metadata } = state
  const names = new Set([...Object.keys(state.tracks), ...unseenParts(state).map(({ track }) => track), ...Object.keys(state.finish?.parts ?? {})])
  const tracks = Object.fromEntries([...names].sort().map((track) => [track, toPublicTrack(state, track, urls)]))
  return { id: session, status, version, finalizedVersion, startedAt, endedAt, metadata, ...withDefaultGraces(state.graces), tracks }
}

function toPublicTrack(state: SessionState, track: string, urls: RecordingUrls): PublicTrack {
  const parts = partsOf(state).filter((part) => part.track === track)
  const playable = filesOf(state, track).filter(({ bytes }) => bytes > 0)
  const files = playable.map((file) => ({
    url: urls.file(state.session, track, file.file, file.generation),
    mimeType: file.mimeType,
    bytes: file.bytes,
    durationMs: file.durationMs,
    startOffsetMs: startOffsetMs(state, file),
    ...repeatedIn(file),
  }))
  return {
    url: files[0]?.url ?? null,
    files,
    durationMs: files.reduce((sum, { durationMs }) => sum + durationMs, 0),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    startOffsetMs: files[0]?.startOffsetMs ?? 0,
    timeline: timelineOf(state, parts, playable),
    parts: publicParts(state, track, parts),
    renditions: publicRenditions(state, track, urls),
  }
}

/** What players skip of a file, in its order. */
function repeatedIn({ parts }: FileState): Pick<PublicTrack['files'][number], 'repeated'> {
  const repeated = parts.flatMap((part) => part.repeated ?? []).toSorted((a, b) => a.startMs - b.startMs)
  return repeated.length === 0 ? {} : { repeated }
}

function publicRenditions(state: SessionState, track: string, urls: RecordingUrls): PublicTrack['renditions'] {
  const made = state.renditions
    .filter((rendition) => rendition.track === track)
    .map(({ kind, file = 0, version, blob, reason }) => ({
      kind,
      ...(file === 0 || blob !== null ? {} : { file }),
      version,
      url: blob === null ? null : urls.rendition(state.session, track, kind, file),
      reason,
    }))
  const pending = pendingRenditions(state)
    .filter((rendition) => rendition.track === track)
    .map(({ kind, file }) => ({ kind, ...(file === 0 ? {} : { file }), version: state.version, url: null, reason: null }))
  return [...made, ...pending]
}

/** When media time 0 of the file was, in milliseconds since the session's start. */
export function startOffsetMs(state: Pick<SessionState, 'startedAt'>, file: Pick<FileState, 'startedAt'>): number {
  return state.startedAt === null || file.startedAt === null ? 0 : epochMs(file.startedAt) - epochMs(state.startedAt)
}

/**
 * Where each part begins, and where media goes on behind time that was not recorded within one, in the track's media time (its files
 * played one after another) and by the clock since the session's start. From one point to the next both run at the same pace.
 */
function timelineOf(state: SessionState, parts: readonly PlacedPart[], files: readonly FileState[]): PublicTrack['timeline'] {
  let playedMs = 0
  const known = new Set(parts.map(({ part }) => part.part))
  return files.flatMap((file) => {
    const base = playedMs
    playedMs += file.durationMs
    const zero = startOffsetMs(state, file)
    const begun = file.parts.filter(({ part, startMs }) => startMs !== null && known.has(part)).sort((a, b) => a.startMs! - b.startMs!)
    return begun.flatMap((part, i) => {
      // What is ahead of the next part's start by the clock cannot be right, and nothing goes on at the end of the file.
      const nextMs = begun[i + 1]?.startMs ?? Infinity
      const endMs = Math.min(nextMs, file.durationMs)
      const resumed = resumptionsOf(part).filter(({ mediaMs, clockMs }) => mediaMs > part.startMs! && mediaMs < endMs && clockMs < nextMs)
      return [{ mediaMs: part.startMs!, clockMs: part.startMs! }, ...resumed].map(({ mediaMs, clockMs }) => ({ mediaMs: base + mediaMs, offsetMs: zero + clockMs }))
    })
  })
}

/** Where media goes on behind time that was not recorded: file time, and what that would be had all been recorded. */
function resumptionsOf({ unrecorded = [] }: PartState): { mediaMs: number; clockMs: number }[] {
  let missingMs = 0
  return unrecorded.filter(({ evidence }) => evidence === 'clock').map((time) => ({ mediaMs: time.endMs, clockMs: time.endMs + (missingMs += time.missingMs) }))
}

function publicParts(state: SessionState, track: string, parts: readonly PlacedPart[]): PublicPart[] {
  const byPart = Map.groupBy(state.gaps.filter((gap) => gap.track === track), ({ part }) => part)
  const gapsOf = (part: string): PublicPart['gaps'] => (byPart.get(part) ?? []).map(toPublicGap)
  const known = parts.map(({ part: { part, startedAt, closed, chunks, rejected } }) => ({
    part,
    startedAt,
    chunks: closed?.chunks ?? null,
    stored: chunks,
    closed: closed !== null,
    clean: closed?.clean ?? false,
    rejected,
    gaps: gapsOf(part),
  }))
  const unseen = unseenParts(state).filter((part) => part.track === track)
  return [...known, ...unseen.map(({ part }) => ({ part, startedAt: null, chunks: null, stored: 0, closed: false, clean: false, rejected: null, gaps: gapsOf(part) }))]
}

function toPublicGap({ from, to, startMs, endMs, kind, state, cause, unrecorded }: GapState): PublicPart['gaps'][number] {
  return { from, to, startMs, endMs, kind, state, cause, ...(unrecorded === undefined ? {} : { unrecorded }) }
}
