/**
 * What an event of a session costs completeness as the session's parts grow in number: CPU of reading it, folding it in, judging it and
 * writing the state where it is published. `node load-tests/bench-long-sessions.ts [sessions] [minutes]`, default 80 and 15. Each session
 * has two tracks whose part changes every 12 to 20 s, and a commit every 5 s or so.
 */
import { decodeEvent, encodeEvent, encodeStatus, isRecordFault, type EventOf, type PartState, type RecordingEvent } from '@longtake/contracts'
import { CommitChanges } from '@longtake/domain'
import { Sessions } from '../services/completeness/src/sessions.ts'

const sessions = Number(process.argv[2] ?? 80)
const minutes = Number(process.argv[3] ?? 15)
const STARTED_MS = Date.parse('2026-03-01T10:00:00.000Z')
const CLIENT = '10000000-0000-4000-8000-000000000001'
const STEPS = ['read', 'fold', 'judge', 'write'] as const

interface Track {
  readonly session: string
  readonly name: string
  parts: PartState[]
  commits: number
  readonly changes: CommitChanges
  partStartedMs: number
  partEndsMs: number
  commitAtMs: number
}

const at = (ms: number): string => new Date(STARTED_MS + ms).toISOString()
const known = new Sessions()
const cpuMs = { read: 0, fold: 0, judge: 0, write: 0 }
let offset = 0n
let events = 0
let seed = 1

/** The same sequence in each run (a linear congruential generator), 0 to 1. */
function random(): number {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
  return seed / 2 ** 31
}

function measured<T>(step: (typeof STEPS)[number], run: () => T): T {
  const before = process.threadCpuUsage()
  const result = run()
  const { user, system } = process.threadCpuUsage(before)
  cpuMs[step] += (user + system) / 1_000
  return result
}

function handle(sent: RecordingEvent, nowMs: number): void {
  const record = encodeEvent(sent)
  const event = measured('read', () => decodeEvent(record))
  if (isRecordFault(event)) throw new Error(event.details)
  measured('fold', () => known.fold(event, offset++))
  known.tick(STARTED_MS + nowMs)
  const judged = measured('judge', () => known.judge(STARTED_MS + nowMs, Infinity))
  measured('write', () => judged.filter(({ isNews, isDeferred }) => isNews && !isDeferred).map(({ state }) => encodeStatus(state)))
  measured('judge', () => known.settle(judged))
  events++
}

function newPart(track: Track, nowMs: number): PartState {
  const part = `00000000-0000-4000-8000-${String(track.parts.length).padStart(12, '0')}`
  const times = { startedAt: at(nowMs), startMs: nowMs, endMs: nowMs }
  const nothing = { chunks: 0, bytes: 0, undecodable: [], missing: [], closed: null, lost: [], rejected: null }
  return { part, client: CLIENT, mimeType: 'video/webm', ...times, stored: [], ...nothing }
}

/** One second of a track. */
function record(track: Track, nowMs: number): void {
  if (nowMs >= track.partEndsMs) {
    const ended = track.parts.pop()
    if (ended !== undefined) track.parts.push({ ...ended, closed: { chunks: ended.chunks, clean: true } })
    track.parts.push(newPart(track, nowMs))
    Object.assign(track, { partStartedMs: nowMs, partEndsMs: nowMs + 12_000 + Math.floor(8_000 * random()) })
    if (ended !== undefined) track.commitAtMs = nowMs
  }
  const chunks = (nowMs - track.partStartedMs) / 1_000 + 1
  const part = track.parts.pop()!
  track.parts.push({ ...part, stored: [[0, chunks - 1]], chunks, bytes: 45_000 * chunks, endMs: nowMs + 1_000 })
  if (nowMs < track.commitAtMs) return
  track.commitAtMs = nowMs + 5_000
  track.commits++
  const { session, name, parts, commits } = track
  const file = { file: 0, blob: `${session}/${name}/0`, mimeType: 'video/webm', bytes: 45 * nowMs, durationMs: nowMs + 1_000, startedAt: at(0) }
  const commit = { commit: { number: commits, id: `c${commits}` }, generation: 0, blocks: { count: commits, sha256: 'ab'.repeat(32) } }
  const event: EventOf<'blocks-committed'> = { type: 'blocks-committed', session, at: at(nowMs), track: name, ...file, ...commit, codecs: ['V_VP9'], parts: [...parts], nextOffset: '0' }
  const published = track.changes.eventOf(event)
  handle({ ...published, at: event.at }, nowMs)
  track.changes.published(event, published)
}

const tracks = Array.from({ length: 2 * sessions }, (_, i): Track => {
  const session = `session-${i >> 1}`
  return { session, name: i % 2 === 0 ? 'webcam' : 'screen', parts: [], commits: 0, changes: new CommitChanges(), partStartedMs: 0, partEndsMs: 0, commitAtMs: 2_000 }
})
for (const { session } of tracks) handle({ type: 'client-connected', session, at: at(0), client: CLIENT, gateway: 'g', connection: 'c' }, 0)

for (let minute = 1; minute <= minutes; minute++) {
  for (const step of STEPS) cpuMs[step] = 0
  events = 0
  for (let second = 60 * (minute - 1); second < 60 * minute; second++) for (const track of tracks) record(track, 1_000 * second)
  const perEvent = STEPS.map((step) => `${step} ${Math.round((1_000 * cpuMs[step]) / events)}`)
  const sum = STEPS.reduce((total, step) => total + cpuMs[step], 0)
  console.log(`minute ${minute}: ${tracks[0]!.parts.length} parts a track, ${Math.round((1_000 * sum) / events)} µs an event (${perEvent.join(', ')})`)
}
