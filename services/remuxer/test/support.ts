import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BlobStore, MemoryBlobStore } from '@longtake/blob'
import { BLOBS, decodeEvent, encodeStatus, type FileState, isRecordFault, type Manifest, type RecordingEvent, type SessionState } from '@longtake/contracts'
import type { KafkaRecord, OutgoingRecord } from '@longtake/kafka'
import { createLogger, type Logger } from '@longtake/service'
import { concat, Conditions, findFfmpeg, findFfprobe, loadRecording, type RecordingName } from '@longtake/testkit'
import pLimit, { type LimitFunction } from 'p-limit'
import type { Decoder } from '../src/decode.ts'
import { RemuxerPartition } from '../src/partition.ts'
import type { Renderer } from '../src/render.ts'

export const session = 'exam-17'
const at = '2026-03-01T10:00:00.000Z'
const none = new AbortController().signal

export interface StoredFile {
  track?: string
  file?: number
  bytes: Uint8Array
  mimeType: string
  codecs: string[]
  durationMs?: number
}

export function recordingFile(name: RecordingName, codecs: string[], durationMs = 10_000): StoredFile {
  const { chunks, mimeType } = loadRecording(name)
  return { bytes: concat(chunks), mimeType: mimeType.split(';')[0]!, codecs, durationMs }
}

export function fileState({ track = 'webcam', file = 0, bytes, mimeType, codecs, durationMs = 10_000 }: StoredFile, of = session): FileState {
  return {
    file, blob: BLOBS.file(of, track, file), mimeType, bytes: bytes.length, durationMs, startedAt: at, commit: { number: 3, id: 'c3' }, generation: 0,
    blocks: { count: 2, sha256: 'ab'.repeat(32) }, codecs, parts: [], at,
  }
}

/** The status of a session whose version 1 is finalized. */
export function finalizedState(files: readonly StoredFile[], over: Partial<SessionState> = {}): SessionState {
  const of = over.session ?? session
  const tracks: SessionState['tracks'] = {}
  for (const file of files) (tracks[file.track ?? 'webcam'] ??= { files: [] }).files.push(fileState(file, of))
  return {
    session: of, eventsOffset: '9', revision: 1, status: 'complete', version: 1, finalizedVersion: 1, createdAt: at, metadata: {}, startedAt: at, endedAt: at, activeAt: at,
    deletedAt: null, clients: [], finish: null, tracks, gaps: [], resends: [], reports: [], manifest: { version: 1, blob: BLOBS.manifest(of, 1) }, renditions: [], ...over,
  }
}

/** Puts the files, their seals and the manifest that names them into storage. */
export async function store(into: BlobStore, state: SessionState, files: readonly StoredFile[]): Promise<void> {
  const tracks: Manifest['tracks'] = {}
  for (const stored of files) {
    const { track = 'webcam', bytes } = stored
    const { blob, mimeType, durationMs, commit, blocks } = fileState(stored, state.session)
    const put = await into.put(blob, bytes, { contentType: mimeType, metadata: {} })
    if (put.outcome !== 'written') throw new Error(`${blob}: ${put.outcome}`)
    const seal = await into.snapshot(blob, { ifMatch: put.etag, metadata: {} })
    if (seal.outcome !== 'taken') throw new Error(`${blob}: ${seal.outcome}`)
    // What comes after the seal must not matter.
    await into.put(blob, Buffer.from('something newer'), { contentType: mimeType, metadata: {} })
    const sealed = { blob, snapshot: seal.snapshot, etag: put.etag, mimeType, bytes: bytes.length, durationMs, startOffsetMs: 0, commit, blocks, parts: [] }
    ;(tracks[track] ??= { files: [], parts: [] }).files.push(sealed)
  }
  const manifest: Manifest = { format: 'longtake.manifest.v1', session: state.session, version: 1, status: 'complete', startedAt: at, endedAt: at, finalizedAt: at, metadata: {}, tracks, gaps: [] }
  await into.put(BLOBS.manifest(state.session, 1), Buffer.from(JSON.stringify(manifest)), { contentType: 'application/json', metadata: {} })
}

/** One partition on a storage in memory, and all that comes out of it. */
export function setUp(options: Partial<Pick<Decoder & Renderer, 'ffmpeg' | 'timeLimitMs' | 'runBytes' | 'coverage' | 'mp4Policy' | 'encodeAtOnce'>> & { blobs?: BlobStore; decodeAtOnce?: LimitFunction; logger?: Logger } = {}) {
  const blobs = options.blobs ?? new MemoryBlobStore()
  const tempDir = mkdtempSync(join(tmpdir(), 'remuxer-test-'))
  const events: RecordingEvent[] = []
  const parked: string[] = []
  let [seen, done] = [0, 0]
  const progress = new Conditions()
  const stopping = new AbortController()
  const renderer: Renderer = {
    store: blobs, ffmpeg: options.ffmpeg ?? findFfmpeg(), atOnce: pLimit(1), timeLimitMs: options.timeLimitMs ?? 240_000, tempDir, runBytes: options.runBytes ?? 1024 ** 3,
    encodeAtOnce: options.encodeAtOnce ?? pLimit(1),
    mp4Policy: options.mp4Policy ?? 'on-request',
  }
  const partition = new RemuxerPartition({
    decoder: { ...renderer, atOnce: options.decodeAtOnce ?? pLimit(1), coverage: options.coverage ?? 'none' },
    assigned: {
      signal: none,
      done: () => {
        done += 1
        progress.changed()
      },
    },
    renderer,
    producer: {
      send: async ({ key, value, headers }: OutgoingRecord) => {
        const event = decodeEvent({ key, value: Buffer.from(value!), headers: { ...headers } })
        if (isRecordFault(event)) throw new Error(event.details)
        events.push(event)
        return { offset: 0n }
      },
    },
    parker: { park: async (_, { reason }) => void parked.push(reason) },
    eventsTopic: 'events',
    logger: options.logger ?? createLogger({ service: 'remuxer', level: 'silent' }),
    stopping: stopping.signal,
    now: () => Date.parse(at),
  })
  const see = (value: Uint8Array, key = session): Promise<void> => {
    seen += 1
    return partition.handle(recordOf(value, key, BigInt(seen)))
  }
  return {
    blobs,
    tempDir,
    partition,
    stopping,
    events,
    parked,
    get done() {
      return done
    },
    see: (state: SessionState) => see(encodeStatus(state).value, state.session),
    seeBytes: (value: Uint8Array) => see(value),
    until: (what: string, holds: () => boolean) => progress.until(what, holds, 300_000, () => `${done} of ${seen}`),
    /** Once every status is done. */
    idle: () => progress.until('all statuses are done', () => done === seen, 300_000, () => `${done} of ${seen}`),
    /** What is in the folder for recordings under work. */
    leftovers: () => readdirSync(tempDir),
    [Symbol.dispose]: () => rmSync(tempDir, { recursive: true, force: true }),
  }
}

/** Stands in for an ffmpeg that misbehaves. */
export function program(system: { tempDir: string }, script: string): string {
  const folder = join(system.tempDir, 'bin')
  mkdirSync(folder)
  const path = join(folder, 'ffmpeg')
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return path
}

const recordOf = (value: Uint8Array, key: string, offset: bigint): KafkaRecord => ({
  topic: 'status', partition: 0, offset, key, value: Buffer.from(value), tombstone: false, headers: { kind: 'session-state' }, timestamp: 0,
})

interface Stream {
  codec_type: string
  codec_name: string
  width?: number
  height?: number
  /** What its header says, and what was found. */
  nb_frames?: string
  nb_read_packets: string
}

/** What ffprobe says of these bytes; it must have nothing to complain about. */
export function probe(bytes: Uint8Array): { streams: Stream[]; durationS: number } {
  const run = execFileSync(findFfprobe(), ['-v', 'error', '-count_packets', '-show_streams', '-show_format', '-of', 'json', '-i', 'pipe:0'], { input: bytes, stdio: ['pipe', 'pipe', 'inherit'] })
  const { streams, format } = JSON.parse(run.toString()) as { streams: Stream[]; format: { duration?: string } }
  return { streams, durationS: Number(format.duration ?? 0) }
}

export async function contentOf({ blobs }: ReturnType<typeof setUp>, blob: string): Promise<Buffer> {
  const read = await blobs.readAll(blob)
  assert.ok(read, `${blob} is there`)
  return read.bytes
}

/** A recording that ffmpeg makes out of its own test sources. */
export function madeFile(codecs: string[], args: readonly string[]): StoredFile {
  const bytes = execFileSync(findFfmpeg(), ['-v', 'error', '-nostdin', ...args, '-f', 'matroska', 'pipe:1'], { maxBuffer: 64 * 1024 ** 2 })
  return { bytes, mimeType: 'video/webm', codecs, durationMs: 2_000 }
}
