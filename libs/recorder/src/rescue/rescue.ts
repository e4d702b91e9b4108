import type { PendingRecording } from '../api.ts'
import { importSpoolKey } from '../spool/chunk-cipher.ts'
import { spooledClients, withSpoolDatabase, type ChunkRecord, type ClientRecord, type PartRecord } from '../spool/spool-database.ts'
import { Spool } from '../spool/spool.ts'

export interface RescueOptions {
  /** Gets the `ingest.spoolKey` of a session, best from your backend; null leaves it out. */
  spoolKey: (pending: PendingRecording) => string | null | Promise<string | null>
}

/** What this computer has of one part, and the server has not. */
export interface RescuedFile {
  session: string
  track: string
  part: string
  mimeType: string
  /** Of the part: milliseconds since the epoch by this device's clock. */
  startedAt: number
  /** For a download: session, track and start, in characters that every system takes. */
  name: string
  blob: Blob
  /** Its chunks, first and last of each run. */
  chunks: [from: number, to: number][]
  /** Whether it begins with the part's first chunk and has no hole, so that a player opens it. The others hold what is missing on the server. */
  playable: boolean
}

const EXTENSIONS: readonly [kind: string, extension: string][] = [['matroska', 'mkv'], ['mp4', 'mp4'], ['webm', 'webm']]

/**
 * Reads what waits on this computer to be uploaded, also of recorders that are running, and changes nothing: a way out where the server
 * cannot be reached before a computer has to be given back. A chunk that cannot be read is left out.
 * @throws RecorderError `spool-failed`; whatever `spoolKey` throws
 */
export async function rescue({ spoolKey }: RescueOptions): Promise<RescuedFile[]> {
  const files: RescuedFile[] = []
  for (const client of await withSpoolDatabase(spooledClients)) {
    const { session, ingestUrl, startedAt, stopped } = client
    const key = await spoolKey({ session, client: client.client, ingestUrl, startedAt, stopped })
    if (key !== null) files.push(...(await filesOf(client, key)))
  }
  return files
}

/** Lets the browser save it where downloads go. */
export function download({ blob, name }: RescuedFile): void {
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: name })
  link.click()
  // Some browsers read it only after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}

async function filesOf(client: ClientRecord, key: string): Promise<RescuedFile[]> {
  const resumed = await Spool.resume(client, await importSpoolKey(key))
  if (resumed === 'wrong-key') return []
  const { spool, parts, chunks } = resumed
  try {
    const files: RescuedFile[] = []
    for (const part of parts.toSorted((a, b) => a.startedAt - b.startedAt)) {
      const file = await fileOf(spool, part, chunks.filter((chunk) => chunk.part === part.part))
      if (file !== null) files.push(file)
    }
    return files
  } finally {
    await spool.close()
  }
}

async function fileOf(spool: Spool, { session, track, part, mimeType, startedAt }: PartRecord, kept: readonly ChunkRecord[]): Promise<RescuedFile | null> {
  const blobs: Blob[] = []
  const chunks: RescuedFile['chunks'] = []
  for (const { seq } of kept) {
    const read = await spool.readChunk(part, seq)
    if (typeof read === 'string') continue
    // A blob, which the browser may put on the disk: hours do not fit into memory.
    blobs.push(new Blob([read.payload]))
    const last = chunks.at(-1)
    if (last?.[1] === seq - 1) last[1] = seq
    else chunks.push([seq, seq])
  }
  if (blobs.length === 0) return null
  const extension = EXTENSIONS.find(([kind]) => mimeType.includes(kind))?.[1] ?? 'bin'
  const start = new Date(startedAt).toISOString().replaceAll(':', '-').slice(0, 19)
  const name = `${session}-${track}-${start}-${part.slice(0, 8)}.${extension}`
  return { session, track, part, mimeType, startedAt, name, blob: new Blob(blobs, { type: mimeType }), chunks, playable: chunks.length === 1 && chunks[0]![0] === 0 }
}
