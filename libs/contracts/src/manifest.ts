import { Type, type Static } from 'typebox'
import { Instant, PartId, SeqRange, SessionId, TrackName } from './ids.ts'
import { shape } from './schema.ts'
import { GapState, SessionStatus } from './status.ts'

const Count = Type.Integer({ minimum: 0 })

/** `{session}/manifests/{version}.json`: the account of a finished session. */
export const Manifest = Type.Object({
  format: Type.Literal('longtake.manifest.v1'),
  session: SessionId,
  version: Type.Integer({ minimum: 1 }),
  status: SessionStatus,
  startedAt: Type.Union([Instant, Type.Null()]),
  endedAt: Type.Union([Instant, Type.Null()]),
  finalizedAt: Instant,
  metadata: Type.Record(Type.String(), Type.Unknown()),
  tracks: Type.Record(
    TrackName,
    Type.Object({
      files: Type.Array(
        Type.Object({
          blob: Type.String(),
          /** The seal: Azure's snapshot id of exactly these bytes. */
          snapshot: Type.String(),
          etag: Type.String(),
          mimeType: Type.String(),
          bytes: Count,
          durationMs: Type.Number(),
          startOffsetMs: Type.Number({ description: "media time 0 of this file, since the session's start" }),
          commit: Type.Object({ number: Count, id: Type.String() }),
          blocks: Type.Object({ count: Count, sha256: Type.String() }),
          parts: Type.Array(PartId),
        }),
      ),
      parts: Type.Array(
        Type.Object({
          part: PartId,
          mimeType: Type.Union([Type.String(), Type.Null()]),
          startedAt: Type.Union([Instant, Type.Null()]),
          chunks: Count,
          bytes: Count,
          stored: Type.Array(SeqRange),
          closed: Type.Union([Type.Object({ chunks: Count, clean: Type.Boolean() }), Type.Null()]),
        }),
      ),
    }),
  ),
  gaps: Type.Array(GapState),
})
export type Manifest = Static<typeof Manifest>
export const ManifestShape = shape('manifest', Manifest)

/** Metadata of a tombstone: when the session was deleted, ISO 8601. */
export const TOMBSTONE_DELETED_AT = 'deletedat'

/** Blob names. One place, so that every service and a human with a storage browser find the same things. */
export const BLOBS = {
  /**
   * Stands as soon as a session is being deleted, and stays: whoever wrote something for a session looks for it afterwards.
   * Outside of the session's own folder, which is emptied, under a name that no session can have. Its metadata has
   * {@link TOMBSTONE_DELETED_AT}, but for those of earlier versions.
   */
  tombstone: (session: string) => `.deleted/${session}`,
  /** Of a deleted session that has blobs which may not be deleted yet, as by a legal hold; by its partition. */
  heldErasures: (partition: number) => `.held-erasures/${partition}/`,
  heldErasure: (partition: number, session: string) => `.held-erasures/${partition}/${session}`,
  session: (session: string) => `${session}/`,
  track: (session: string, track: string) => `${session}/${track}/`,
  /** The n-th file of a track; its content type says what it is. */
  file: (session: string, track: string, file: number) => `${session}/${track}/${file}`,
  pendingPrefix: (session: string, track: string) => `${session}/${track}/pending/`,
  checkpointPrefix: (session: string, track: string, file: number) => `${session}/${track}/checkpoints/${file}/`,
  manifestPrefix: (session: string) => `${session}/manifests/`,
  manifest: (session: string, version: number) => `${session}/manifests/${version}.json`,
  renditionPrefix: (session: string) => `${session}/renditions/`,
  rendition: (session: string, version: number, track: string, name: string) => `${session}/renditions/${version}/${track}/${name}`,
} as const
