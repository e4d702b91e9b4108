import type { EventOf, FileState, PartState, RecordingEvent, SessionState, SessionStatus } from '@longtake/contracts'
import { connectionEnded, connectionSeen } from './clients.ts'
import { partsAfter } from './commit-changes.ts'
import { areSameSpans, fileDecoded } from './decoded.ts'
import { isEqual } from './equal.ts'
import { fileVerified, filesFoundSound } from './file-faults.ts'
import { finishSeen } from './finish.ts'
import { differences, segmentsOf, sharingParts, type PartList, type PartSegment } from './part-lists.ts'
import { chunksParked } from './parked.ts'
import { renditionMade, renditionRequested } from './renditions.ts'
import { reported } from './reports.ts'
import { remembered } from './remembered.ts'
import { earlier, epochMs, isHigherOffset, later } from './time.ts'

/** Statuses under which a version is published. */
export type CompletedStatus = EventOf<'session-completed'>['status']
export const isCompleted = (status: SessionStatus): status is CompletedStatus =>
  status === 'complete' || status === 'complete-with-gaps' || status === 'abandoned'

/** A session of which one event is known. @param offset of that event in recordings.events */
export function initialState(session: string, at: string, offset: string): SessionState {
  return {
    session,
    eventsOffset: offset,
    revision: 0,
    status: 'waiting',
    version: 0,
    finalizedVersion: 0,
    createdAt: at,
    metadata: {},
    startedAt: null,
    endedAt: null,
    activeAt: at,
    deletedAt: null,
    clients: [],
    finish: null,
    tracks: {},
    gaps: [],
    resends: [],
    reports: [],
    manifest: null,
    renditions: [],
  }
}

/**
 * Folds an event in; an offset that was folded before changes nothing. Facts of different origins may come in any
 * order and repeatedly. Status, gaps, version and resends are `judge`'s: folding its own events changes nothing, since
 * they follow from the same facts. A completed session whose content changes becomes `interrupted`, to be judged anew.
 * @param state undefined before the session's first event
 */
export function evolve(state: SessionState | undefined, event: RecordingEvent, offset: string): SessionState {
  if (state === undefined) return apply(initialState(event.session, event.at, offset), event)
  if (!isHigherOffset(offset, state.eventsOffset)) return state
  return apply({ ...state, eventsOffset: offset, createdAt: earlier(state.createdAt, event.at) }, event)
}

function apply(state: SessionState, event: RecordingEvent): SessionState {
  if (state.deletedAt !== null) return applyToDeleted(state, event)
  switch (event.type) {
    case 'session-created':
      return created(state, event)
    case 'client-connected':
      return { ...alive(state, event.at), clients: connectionSeen(state.clients, event) }
    case 'client-disconnected':
      return { ...alive(state, event.at), clients: connectionEnded(state.clients, event) }
    case 'client-reported':
      return { ...alive(state, event.at), reports: [...reported(state.reports, event)] }
    case 'blocks-committed':
      return committed(state, event, (known) => sharingParts(known, event.parts))
    case 'parts-committed':
      return committed(state, event, () => partsAfter(filesOf(state, event.track), event))
    case 'chunks-parked': {
      const parked = chunksParked(state.parked, event)
      return parked === state.parked ? state : { ...reopened(changed(state)), parked }
    }
    case 'session-finished':
      return finished(state, event)
    case 'session-deleted':
      return deleted(state, event.at)
    // The request to delete it may be missing where its sender died between the two topics.
    case 'session-erased':
      return { ...deleted(state, event.at), deletion: { erasedAt: event.at } }
    case 'session-finalized':
      return finalized(state, event)
    case 'file-verified': {
      const { tracks, hasSameFaults } = fileVerified(state.tracks, event)
      if (tracks === state.tracks) return state
      return hasSameFaults ? { ...state, tracks } : { ...reopened(changed(state)), tracks }
    }
    case 'rendition-ready': {
      const { track, kind, version, blob, mimeType, bytes, file } = event
      return { ...state, renditions: renditionMade(state.renditions, { track, kind, version, blob, mimeType, bytes, reason: null, ...(file === undefined ? {} : { file }) }) }
    }
    case 'rendition-failed': {
      const { track, kind, version, reason, file } = event
      return { ...state, renditions: renditionMade(state.renditions, { track, kind, version, blob: null, mimeType: null, bytes: 0, reason, ...(file === undefined ? {} : { file }) }) }
    }
    case 'rendition-requested': {
      const requested = renditionRequested(state.requested, event)
      return requested === state.requested ? state : { ...state, requested }
    }
    case 'file-decoded': {
      const decoded = fileDecoded(state.decoded, event)
      return decoded === state.decoded ? state : { ...(areSameSpans(state.decoded, decoded) ? state : changed(state)), decoded }
    }
    case 'gap-opened':
    case 'gap-closed':
    case 'gap-confirmed':
    case 'session-completed':
    case 'session-forgotten':
      return state
    default:
      return unknownEvent(event)
  }
}

/** What was told first counts: to be created again changes nothing. */
function created(state: SessionState, { at, metadata, graces = state.graces }: EventOf<'session-created'>): SessionState {
  const known = { metadata: Object.keys(state.metadata).length > 0 ? state.metadata : metadata, graces: state.graces ?? graces }
  return { ...alive(state, at), metadata: known.metadata, ...(known.graces === undefined ? {} : { graces: known.graces }) }
}

const alive = (state: SessionState, at: string): SessionState => ({ ...state, activeAt: later(state.activeAt, at) })

/** Deletion is final: only its own progress matters, and who is still connected and has to be sent away. */
function applyToDeleted(state: SessionState, event: RecordingEvent): SessionState {
  switch (event.type) {
    case 'client-connected':
      return { ...state, clients: connectionSeen(state.clients, event) }
    case 'client-disconnected':
      return { ...state, clients: connectionEnded(state.clients, event) }
    case 'session-erased':
      // Late chunks make block-writer erase again.
      return { ...state, deletion: { ...state.deletion, erasedAt: later(state.deletion?.erasedAt ?? event.at, event.at) } }
    case 'session-forgotten':
      return isOfDeletion(state, event) ? { ...state, deletion: { ...state.deletion, forgottenAt: event.at } } : state
    default:
      return state
  }
}

/**
 * Whether the event concerns this deletion, and not an earlier one of the same id: the id may have been used again since, and
 * Kafka may deliver an event, or the status that caused it, once more.
 */
function isOfDeletion({ deletedAt, deletion }: SessionState, event: EventOf<'session-forgotten'>): boolean {
  return deletion?.expiredAt !== undefined && (event.deletedAt === undefined || event.deletedAt === deletedAt)
}

function deleted(state: SessionState, at: string): SessionState {
  const { session, eventsOffset, revision, createdAt, activeAt, version, finalizedVersion, clients } = state
  return { ...initialState(session, createdAt, eventsOffset), revision, activeAt, version, finalizedVersion, clients, status: 'deleted', deletedAt: at, deletion: {} }
}

/** @param partsOf all parts of the file, made of those known before it: what was worked out of those that stay holds */
function committed(state: SessionState, event: EventOf<'blocks-committed' | 'parts-committed'>, partsOf: (known: PartList) => PartList): SessionState {
  const { track, file, blob, mimeType, bytes, durationMs, startedAt, commit, generation, blocks, codecs, at } = event
  const files = filesOf(state, track)
  const known = files.find((other) => other.file === file)
  if (known !== undefined && commit.number < known.commit.number) return alive(state, at)
  const parts = partsOf(known?.parts ?? []) as PartState[]
  // What was found in an earlier commit holds until this one was looked at: most commits add to a file.
  const verification = known?.verification === undefined ? {} : { verification: known.verification }
  const next: FileState = { file, blob, mimeType, bytes, durationMs, startedAt, commit, generation, blocks, codecs, parts, at, ...verification }
  const others = files.filter((other) => other !== known)
  const tracks = { ...state.tracks, [track]: { files: [...others, next].sort((a, b) => a.file - b.file) } }
  const folded = { ...alive(state, at), tracks, startedAt: startOf(tracks) }
  return known !== undefined && hasSameContent(known, next) ? folded : reopened(changed(folded))
}

/** Whether two commits hold the same recording: a checkpoint alone may be committed anew. */
function hasSameContent(a: FileState, b: FileState): boolean {
  if (a.parts.length !== b.parts.length) return false
  for (const [one, other] of differences(a.parts, b.parts)) if (!isEqual(partContentOf(one), partContentOf(other))) return false
  return isEqual(contentOf({ ...a, parts: [] }), contentOf({ ...b, parts: [] }))
}
/** What a file holds of the recording, whatever commit it is of. */
export const contentOf = ({ blob, mimeType, bytes, durationMs, startedAt, codecs, parts }: FileState): unknown => ({ blob, mimeType, bytes, durationMs, startedAt, codecs, parts: parts.map(partContentOf) })
/** Without what only counts the content: a version that counts commits the same recording as one that did not. */
const partContentOf = remembered(({ media: _media, ...content }: PartState): unknown => content)

function finished(state: SessionState, event: EventOf<'session-finished'>): SessionState {
  const finish = finishSeen(state.finish, event)
  if (finish === state.finish) return alive(state, event.at)
  const isSame = state.finish !== null && isEqual(state.finish.parts, finish.parts)
  // With another end it will not be abandoned as before; what is complete may well be so with both.
  const ended = state.status === 'abandoned' ? reopened(changed(state)) : changed(state)
  return { ...alive(isSame ? state : ended, event.at), finish }
}

function finalized(state: SessionState, { version, manifest, sound = [] }: EventOf<'session-finalized'>): SessionState {
  if (version < state.finalizedVersion) return state
  return { ...state, tracks: filesFoundSound(state.tracks, sound), finalizedVersion: version, manifest: { version, blob: manifest } }
}

/** What its last version was completed as says nothing about the next any more. */
function changed({ completedAs: _completedAs, ...state }: SessionState): SessionState {
  return state
}

const reopened = (state: SessionState): SessionState => (isCompleted(state.status) ? { ...state, status: 'interrupted' } : state)

/** The files of a track, in order; none for an unknown one. Names such as `constructor` are tracks like any other. */
export function filesOf(state: Pick<SessionState, 'tracks'>, track: string): FileState[] {
  return Object.hasOwn(state.tracks, track) ? state.tracks[track]!.files : []
}

/** The earliest moment of which anything was recorded. */
function startOf(tracks: SessionState['tracks']): string | null {
  let first: Moment = NEVER
  for (const { files } of Object.values(tracks)) {
    for (const { startedAt, parts } of files) {
      first = earliest(first, momentOf(startedAt))
      for (const segment of segmentsOf(parts)) first = earliest(first, startOfSegment(segment))
    }
  }
  return first.at
}

interface Moment {
  readonly at: string | null
  readonly ms: number
}
const NEVER: Moment = { at: null, ms: Infinity }

/** An invalid instant is kept only if there is no other. */
function momentOf(at: string | null): Moment {
  if (at === null) return NEVER
  const ms = epochMs(at)
  return { at, ms: Number.isNaN(ms) ? Infinity : ms }
}

/** Equal instants may be written differently: the first one counts. */
const earliest = (a: Moment, b: Moment): Moment => (b.at === null || (a.at !== null && a.ms <= b.ms) ? a : b)

const startOfPart = remembered(({ startedAt }: PartState) => momentOf(startedAt))
const startOfSegment = remembered((parts: PartSegment) => parts.reduce((first, part) => earliest(first, startOfPart(part)), NEVER))

function unknownEvent(event: never): never {
  throw new TypeError(`no rule for the event ${JSON.stringify(event)}`)
}
