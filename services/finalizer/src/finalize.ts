import { type BlobStore, COMMIT_ID } from '@longtake/blob'
import { BLOBS, type FileState, type Manifest, ManifestShape, type SessionState } from '@longtake/contracts'
import { isEqual, isSealable, type Seal, toManifest } from '@longtake/domain'
import { contradictions, verifyFile } from './verify.ts'

export type Finalization =
  /** The manifest, by its blob name, stands and vouches for this version. */
  | { outcome: 'finalized'; manifest: string; reused: boolean }
  /** Something newer exists, whose status is on its way. */
  | { outcome: 'superseded' }
  /** Storage or the state itself contradicts what the manifest would say: none is written. */
  | { outcome: 'mismatch'; reason: string }

/**
 * Verifies a completed version against storage, seals its files and writes its manifest. May be repeated at any
 * point: seals of the same commit and a manifest that says the same are found again. Rejects with a `LongtakeError`
 * when storage cannot be reached.
 * @param now milliseconds since the epoch
 */
export async function finalize(store: BlobStore, state: SessionState, now: number, signal: AbortSignal): Promise<Finalization> {
  const faults = contradictions(state)
  if (faults.length > 0) return { outcome: 'mismatch', reason: faults.join('; ') }
  const seals = new Map<string, Seal>()
  for (const file of Object.values(state.tracks).flatMap(({ files }) => files)) {
    const verdict = await verifyFile(store, file, signal)
    if (verdict.verdict === 'superseded') return { outcome: 'superseded' }
    if (verdict.verdict === 'mismatch') return { outcome: 'mismatch', reason: verdict.reason }
    if (!isSealable(file)) continue
    const { etag, metadata } = verdict
    const snapshot = (await findSeal(store, file, signal)) ?? (await seal(store, file, etag, metadata, signal))
    // Between looking and sealing somebody committed: what was verified is not what stands there now.
    if (snapshot === null) return { outcome: 'superseded' }
    seals.set(file.blob, { snapshot, etag })
  }
  return writeManifest(store, toManifest(state, seals, now), signal)
}

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

async function writeManifest(store: BlobStore, manifest: Manifest, signal: AbortSignal): Promise<Finalization> {
  const name = BLOBS.manifest(manifest.session, manifest.version)
  const bytes = Buffer.from(JSON.stringify(ManifestShape.parse(manifest), undefined, 2))
  const { outcome } = await store.put(name, bytes, { ifNoneMatch: '*', contentType: 'application/json', metadata: {}, signal })
  if ((await store.properties(BLOBS.tombstone(manifest.session), { signal })) !== null) {
    // Whoever erases the session may have been here before it was written.
    await store.delete(name, { signal })
    return { outcome: 'superseded' }
  }
  if (outcome === 'written') return { outcome: 'finalized', manifest: name, reused: false }
  const existing = await store.readAll(name, { signal })
  if (existing === null) return { outcome: 'mismatch', reason: `${name} can neither be written nor read` }
  if (saysTheSame(existing.bytes, manifest)) return { outcome: 'finalized', manifest: name, reused: true }
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
