import { LongtakeError, ManifestShape, decodeJson } from '@longtake/contracts'
import type { BlobProperties, BlobStore } from '@longtake/blob'
import type { Recordings } from './ports.ts'
import type { TrackVersion } from './track-stream.ts'

/** Reads what block-writer, finalizer and remuxer have written. */
export function storedRecordings(store: BlobStore): Recordings {
  return {
    async properties(blob) {
      const properties = await store.properties(blob)
      if (properties === null) return undefined
      const { bytes, lastModified, metadata } = properties
      return { bytes, lastModified, headerBytes: Number(metadata.headerbytes ?? bytes), ...versionOf(properties) }
    },
    async readPiece(blob, offset, count, signal) {
      const read = await store.readRange(blob, { offset, count, signal })
      // Out of range after a range was judged satisfiable: the blob became shorter, so its layout changed.
      if (read.outcome !== 'read') throw new LongtakeError('MOVED_WHILE_READING', `reading ${blob} at ${offset}: ${read.outcome}`)
      return { bytes: read.body, version: versionOf(read.properties) }
    },
    async manifest(blob) {
      const read = await store.readAll(blob)
      return read === null ? undefined : ManifestShape.parse(decodeJson(read.bytes))
    },
  }
}

/** What block-writer wrote into the metadata of its commit. Other blobs (renditions) never change: version 0. */
function versionOf({ metadata }: BlobProperties): TrackVersion {
  return { generation: Number(metadata.generation ?? 0), commit: Number(metadata.number ?? 0) }
}
