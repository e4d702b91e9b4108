import { type BlobStore, COMMIT_ID } from '@longtake/blob'
import { BLOBS, LongtakeError, type EventOf, type FileFault, type FileState, type Manifest, ManifestShape, type SessionState } from '@longtake/contracts'
import { isEqual, isSealable, isUnsealable, type Seal, toManifest } from '@longtake/domain'
import { contentFaults } from './content.ts'
import type { ContentReader } from './read-content.ts'
import { contradictions, verifyFile } from './verify.ts'

/** A result of verifying a file that its status does not have yet. */
export type FoundInFile = Pick<EventOf<'file-verified'>, 'track' | 'file' | 'commit' | 'faults'>
/** A commit of a file whose content agrees with the status. */
export type SoundFile = Pick<FoundInFile, 'track' | 'file' | 'commit'>

export type Finalization =
  /** The manifest of this version exists; `manifest` is its blob name. */
  | { outcome: 'finalized'; manifest: string; reused: boolean; sound: readonly SoundFile[] }
  /** Something newer exists, whose status is on its way. */
  | { outcome: 'superseded' }
  /** Files differ from the status: `found` is to be published, and makes another version. */
  | { outcome: 'differs'; found: readonly FoundInFile[]; reason: string }
  /** The state contradicts itself, or a manifest that exists: none is written. */
  | { outcome: 'mismatch'; reason: string }

/**
 * Verifies a completed version against storage, seals its files and writes its manifest. May be repeated at any
 * point: seals of the same commit and a manifest that says the same are found again. Rejects with a `LongtakeError`
 * when storage cannot be reached.
 * @param now milliseconds since the epoch
 */
export async function finalize(store: BlobStore, contents: ContentReader, state: SessionState, now: number, signal: AbortSignal): Promise<Finalization> {
  const faults = contradictions(state)
  if (faults.length > 0) return { outcome: 'mismatch', reason: faults.join('; ') }
  const seals = new Map<string, Seal>()
  const found: FoundInFile[] = []
  const sound: SoundFile[] = []
  for (const [track, { files }] of Object.entries(state.tracks)) {
    for (const file of files) {
      // Its gaps already report that the blob is gone, is another one, or cannot be read.
      if (isUnsealable(file)) continue
      const looked = await orRefused(look(store, contents, file, signal), (error) => lookAtSeal(store, file, error, signal))
      if (looked === 'superseded') return { outcome: 'superseded' }
      const { file: number, commit } = file
      if (isNews(file, looked.faults)) found.push({ track, file: number, commit, faults: looked.faults })
      if (looked.isRead && looked.faults.length === 0) sound.push({ track, file: number, commit })
      // Nothing is sealed of a version that is not the last one.
      if (!isSealable(file) || found.length > 0 || looked.version === null) continue
      const { etag, metadata } = looked.version
      const snapshot = (await findSeal(store, file, signal)) ?? (await orRefused(seal(store, file, etag, metadata, signal), unavailable))
      if (typeof snapshot === 'object' && snapshot !== null) {
        found.push({ track, file: file.file, commit: file.commit, faults: snapshot.faults })
        continue
      }
      // There was a commit after the verification: the blob is no longer the one that was verified.
      if (snapshot === null) return { outcome: 'superseded' }
      seals.set(file.blob, { snapshot, etag })
    }
  }
  if (found.length > 0) return { outcome: 'differs', found, reason: found.map(reasonOf).join('; ') }
  return writeManifest(store, toManifest(state, seals, now), sound, signal)
}

interface Looked {
  readonly faults: FileFault[]
  /** Whether its content was read, now or in an earlier attempt, and the status does not have the result. */
  readonly isRead: boolean
  /** Null where the blob is not the one that was committed. */
  readonly version: { readonly etag: string; readonly metadata: Readonly<Record<string, string>> } | null
}

/**
 * Compares a file with its blob. The content of one commit is read once; the status then has the result. Content that
 * differs is read again at each attempt, since the status may only have been late.
 */
async function look(store: BlobStore, contents: ContentReader, file: FileState, signal: AbortSignal): Promise<Looked | 'superseded'> {
  const verdict = await verifyFile(store, file, signal)
  if (verdict.verdict === 'superseded') return 'superseded'
  if (verdict.verdict === 'mismatch') {
    const { cause, reason } = verdict
    return { faults: [{ startMs: null, endMs: null, cause, detail: reason }], isRead: false, version: null }
  }
  const { etag, metadata, blocks } = verdict
  const version = { etag, metadata }
  if (file.verification?.commit.id === file.commit.id) return { faults: file.verification.faults, isRead: false, version }
  if (file.bytes === 0) return { faults: [], isRead: false, version }
  if (contents.isSound(file)) return { faults: [], isRead: true, version }
  const observed = await contents.read(file.blob, blocks, etag, signal)
  if (observed === null) return 'superseded'
  const faults = contentFaults(file, observed)
  if (faults.length === 0) contents.rememberSound(file)
  return { faults, isRead: true, version }
}

/**
 * Handles a request that storage refuses for this blob alone: a retry would be refused for as long as the archive tier,
 * the hold or the limit lasts, while everything else can be finalized.
 */
async function orRefused<T, R>(request: Promise<T>, whenRefused: (error: LongtakeError) => R | Promise<R>): Promise<T | R> {
  try {
    return await request
  } catch (error) {
    if (error instanceof LongtakeError && error.code === 'BLOB_HELD') return whenRefused(error)
    throw error
  }
}

/** For a file that cannot be read: a seal of the same commit was verified when it was taken. */
async function lookAtSeal(store: BlobStore, file: FileState, error: LongtakeError, signal: AbortSignal): Promise<Looked> {
  const properties = await store.properties(file.blob, { signal })
  const isSealed = properties?.metadata[COMMIT_ID] === file.commit.id && (await findSeal(store, file, signal)) !== undefined
  if (!isSealed) return unavailable(error)
  return { faults: file.verification?.faults ?? [], isRead: false, version: properties }
}

const unavailable = ({ message }: LongtakeError): Looked => ({
  faults: [{ startMs: null, endMs: null, cause: 'file-unavailable', detail: message.slice(0, 1000) }],
  isRead: false,
  version: null,
})

/** Whether these faults have to be published: no faults only if the status has faults of an earlier commit. */
function isNews({ commit, verification }: FileState, faults: readonly FileFault[]): boolean {
  if (verification === undefined || verification.faults.length === 0) return faults.length > 0
  return verification.commit.id !== commit.id || !isEqual(verification.faults, faults)
}

const reasonOf = ({ track, file, faults }: FoundInFile): string =>
  `file ${file} of ${track}: ${faults.length === 0 ? 'is as it was committed' : faults.map(({ cause, detail }) => `${cause} (${detail})`).join(', ')}`

/** A snapshot that an earlier attempt took of this very commit. */
async function findSeal(store: BlobStore, { blob, commit }: FileState, signal: AbortSignal): Promise<string | undefined> {
  for await (const { name, snapshot, metadata } of store.list(blob, { snapshots: true, signal })) {
    if (name === blob && snapshot !== undefined && metadata[COMMIT_ID] === commit.id) return snapshot
  }
  return undefined
}

async function seal(store: BlobStore, { blob }: FileState, etag: string, metadata: Readonly<Record<string, string>>, signal: AbortSignal): Promise<string | null> {
  const sealed = await store.snapshot(blob, { ifMatch: etag, metadata, signal })
  return sealed.outcome === 'taken' ? sealed.snapshot : null
}

async function writeManifest(store: BlobStore, manifest: Manifest, sound: readonly SoundFile[], signal: AbortSignal): Promise<Finalization> {
  const name = BLOBS.manifest(manifest.session, manifest.version)
  const bytes = Buffer.from(JSON.stringify(ManifestShape.parse(manifest), undefined, 2))
  const { outcome } = await store.put(name, bytes, { ifNoneMatch: '*', contentType: 'application/json', metadata: {}, signal })
  if ((await store.properties(BLOBS.tombstone(manifest.session), { signal })) !== null) {
    // Whoever erases the session may have been here before it was written.
    await store.delete(name, { signal })
    return { outcome: 'superseded' }
  }
  if (outcome === 'written') return { outcome: 'finalized', manifest: name, reused: false, sound }
  const existing = await store.readAll(name, { signal })
  if (existing === null) return { outcome: 'mismatch', reason: `${name} can neither be written nor read` }
  if (saysTheSame(existing.bytes, manifest)) return { outcome: 'finalized', manifest: name, reused: true, sound }
  return { outcome: 'mismatch', reason: `${name} exists and says something else` }
}

function saysTheSame(bytes: Buffer, manifest: Manifest): boolean {
  let existing: unknown
  try {
    existing = JSON.parse(bytes.toString())
  } catch {
    return false
  }
  return ManifestShape.is(existing) && isEqual(account(existing), account(manifest))
}

/**
 * What is vouched for: without when and of which of several commits of the same content it was sealed, and without what may
 * be told once more of a version, when it ended and what its backend says of it.
 */
function account({ finalizedAt: _at, endedAt: _end, metadata: _metadata, tracks, gaps, ...rest }: Manifest): unknown {
  const content = Object.entries(tracks).map(([track, { files, parts }]) => ({
    track,
    parts,
    files: files.map(({ snapshot: _snapshot, etag: _etag, commit: _commit, blocks: _blocks, ...file }) => file),
  }))
  return { ...rest, content: content.sort((a, b) => (a.track < b.track ? -1 : 1)), gaps: gaps.map(({ since: _since, ...gap }) => gap) }
}
