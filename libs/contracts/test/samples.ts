import type { ClientMessage, ClientRequest, Declaration, RecordingEvent, ServerMessage, SessionState } from '../src/index.ts'

/** One sample of everything that crosses a process; the golden fixtures are their encodings. */
const session = 'exam-2026_17'
const part = '3f2b8c1e-6a54-4a0e-9c39-1d6f6b0b7a11'
const client = '9d0c5a52-5f0e-4f39-8f5b-0a1b2c3d4e5f'
const track = 'webcam'
const at = '2026-03-01T10:00:00.000Z'

export const declarations: Declaration[] = [
  { type: 'part-opened', session, track, part, client, mimeType: 'video/webm;codecs=vp9,opus', startedAt: at, at },
  { type: 'part-closed', session, track, part, chunks: 137, clean: true, at },
  { type: 'chunks-lost', session, track, part, from: 12, to: 15, cause: 'quota', at },
  { type: 'session-finished', session, parts: { webcam: [part] }, scope: 'session', at },
  { type: 'client-left', session, client, at },
  { type: 'session-deleted', session, at },
]

const fileState = {
  file: 0,
  blob: `${session}/${track}/0`,
  mimeType: 'video/webm',
  bytes: 1_234_567,
  durationMs: 4033.5,
  startedAt: at,
  commit: { number: 3, id: 'c0ffee' },
  generation: 1,
  blocks: { count: 2, sha256: 'ab'.repeat(32) },
  codecs: ['V_VP9', 'A_OPUS'],
  parts: [
    {
      part,
      client,
      mimeType: 'video/webm;codecs=vp9,opus',
      startedAt: at,
      startMs: 0,
      endMs: 4033.5,
      stored: [
        [0, 1],
        [4, 4],
      ] as [number, number][],
      chunks: 3,
      bytes: 150_000,
      media: { video: { frames: 118, lastMs: 4000 }, audio: { frames: null, lastMs: null } },
      undecodable: [{ from: 4, to: 4, startMs: null, endMs: null }],
      missing: [{ from: 2, to: 3, startMs: 2000, endMs: 4000 }],
      closed: { chunks: 5, clean: true },
      lost: [{ from: 2, to: 2, cause: 'corrupt' as const }],
      rejected: null,
    },
  ],
  at,
}

const { at: committedAt, ...committed } = fileState

export const events: RecordingEvent[] = [
  { type: 'session-created', session, at, metadata: { exam: 'B2' }, graces: { interruptedAfterMs: 60_000, abandonedAfterMs: 3_600_000 } },
  { type: 'session-forgotten', session, at, deletedAt: at },
  { type: 'client-connected', session, at, client, gateway: 'gateway-1', connection: 'k1' },
  { type: 'client-disconnected', session, at, client, gateway: 'gateway-1', connection: 'k1', code: 1006 },
  { type: 'client-reported', session, at, client, report: { event: 'muted', track, detail: null }, reportedAt: at },
  { type: 'blocks-committed', session, track, at: committedAt, ...committed, nextOffset: '4711' },
  { type: 'parts-committed', session, track, at: committedAt, ...committed, nextOffset: '4711', since: committed.commit.number - 1 },
  { type: 'session-finished', session, at, parts: { webcam: [part] }, scope: 'session', offset: '4712' },
  { type: 'session-deleted', session, at },
  { type: 'session-erased', session, at },
  { type: 'gap-opened', session, at, track, part, from: 2, to: 3 },
  { type: 'gap-closed', session, at, track, part, from: 2, to: 3 },
  { type: 'gap-confirmed', session, at, track, part, from: 2, to: 2, cause: 'corrupt' },
  { type: 'chunks-parked', session, at, track, part, from: 3, to: 3 },
  { type: 'session-completed', session, at, version: 1, status: 'complete' },
  { type: 'session-finalized', session, at, version: 1, manifest: `${session}/manifests/1.json`, sound: [{ track, file: 0, commit: { number: 3, id: 'c0ffee' } }] },
  { type: 'file-verified', session, at, track, file: 0, commit: { number: 3, id: 'c0ffee' }, faults: [{ startMs: 1200, endMs: 4000, cause: 'wrong-index', detail: 'no frame of track 1 at 1200 ms where the index points to' }] },
  { type: 'rendition-ready', session, at, version: 1, track, kind: 'poster', blob: `${session}/renditions/1/webcam/poster.jpg`, mimeType: 'image/jpeg', bytes: 9000 },
  { type: 'rendition-failed', session, at, version: 1, track, kind: 'mp4', file: 1, reason: 'moov atom not found' },
  { type: 'rendition-requested', session, at, track, kind: 'mp4', file: 1 },
  { type: 'file-decoded', session, at, version: 1, track, file: 0, commit: { number: 3, id: 'c0ffee' }, coverage: 'all', undecodable: [{ media: 'video', startMs: 1000, endMs: 2000.5 }] },
]

export const state: SessionState = {
  session,
  eventsOffset: '99',
  revision: 7,
  status: 'recording',
  version: 0,
  finalizedVersion: 0,
  completedAs: { status: 'abandoned', endedAt: at },
  createdAt: at,
  metadata: {},
  graces: { abandonedAfterMs: 3_600_000 },
  startedAt: at,
  endedAt: null,
  activeAt: at,
  deletedAt: null,
  deletion: { erasedAt: at },
  clients: [{ client, gateway: 'gateway-1', connection: 'k1', since: at, seenAt: at, goneAt: null }],
  finish: { parts: { webcam: [part] }, at, offset: '4712', named: { room: [part], webcam: [part] } },
  tracks: { webcam: { files: [fileState] } },
  gaps: [{ track, part, from: 2, to: 3, startMs: 2000, endMs: 4000, kind: 'lost', state: 'open', cause: null, since: at }],
  parked: [{ track, part, from: 3, to: 3 }],
  requested: [{ track, kind: 'mp4', file: 0 }],
  decoded: [{ track, file: 0, commit: 3, coverage: 'keyframes', undecodable: [{ media: 'audio', startMs: 40, endMs: 100 }] }],
  resends: [{ track, part, from: 2, to: 3, askedAt: at, times: 1 }],
  reports: [{ client, event: 'muted', track, detail: null, at }],
  manifest: null,
  renditions: [],
}

export const requests: ClientRequest[] = [
  { type: 'resend-requested', session, track, part, from: 2, to: 3, at },
  { type: 'clients-dismissed', session, at },
  { type: 'client-moved', session, client, gateway: 'gateway-1', connection: '0b9c1c5e-0d7b-4c6e-9d57-0d4f1f0c7a11', at },
  { type: 'parking-full', session, at },
]

export const clientMessages: ClientMessage[] = [
  { type: 'open', handle: 0, track, part, mimeType: 'video/webm;codecs=vp9,opus', startedAt: at },
  { type: 'close', track, part, chunks: 137, clean: true },
  { type: 'lost', track, part, from: 12, to: 15, cause: 'spool-cleared' },
  { type: 'report', event: 'paused', track, at },
  { type: 'finish', parts: { webcam: [part] }, scope: 'session' },
  { type: 'ping', t: 17.5 },
]

export const serverMessages: ServerMessage[] = [
  { type: 'welcome', session, serverTime: at, maxChunkBytes: 1_048_576, windowBytes: 4_194_304, heartbeatMs: 10_000 },
  { type: 'window', windowBytes: 0 },
  { type: 'ack', handle: 0, from: 12, to: 41 },
  { type: 'durable', of: 'close', track, part },
  { type: 'resend', track, part, from: 12, to: 15 },
  { type: 'pong', t: 17.5 },
  { type: 'error', code: 'REC_DIGEST_MISMATCH', message: 'the payload does not hash to its digest', track, part, seq: 12 },
]

export const chunk = {
  session,
  track,
  part,
  client,
  seq: 12,
  sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  capturedAt: 1_772_359_200_123,
  payload: new TextEncoder().encode('test'),
}
