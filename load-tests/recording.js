// Many recorders at once: each session records webcam and screen over one connection, is finished, and must then be
// whole. Run it by `npm run load`; what the figures mean stands in README.md.
import { check } from 'k6'
import http from 'k6/http'
import { Counter, Rate, Trend } from 'k6/metrics'
import { endingOf, MEDIA } from './media.js'
import { report } from './report.js'
import { WireClient } from './wire-client.js'

function setting(name) {
  if (!__ENV[name]) throw new Error(`${name} is not set: run this script by \`npm run load\``)
  return Number(__ENV[name])
}
const SESSIONS = setting('LONGTAKE_LOAD_SESSIONS')
const AT_ONCE = Math.min(SESSIONS, setting('LONGTAKE_LOAD_AT_ONCE'))
const SECONDS = setting('LONGTAKE_LOAD_SECONDS')
const SPEED = setting('LONGTAKE_LOAD_SPEED')
const RAMP_MS = setting('LONGTAKE_LOAD_RAMP_SECONDS') * 1000
const PATIENCE_MS = 120_000
const URL = __ENV.LONGTAKE_LOAD_URL
const KEEP = __ENV.LONGTAKE_LOAD_KEEP === 'true'
const admin = { Authorization: `Bearer ${__ENV.LONGTAKE_API_KEY}` }

const ackMs = new Trend('longtake_ack_ms', true)
const completeMs = new Trend('longtake_complete_ms', true)
const finalizedMs = new Trend('longtake_finalized_ms', true)
const acknowledged = new Counter('longtake_acknowledged')
const stored = new Counter('longtake_stored')
const sentBytes = new Counter('longtake_bytes')
const whole = new Rate('longtake_whole')
const sessions = new Counter('longtake_sessions')
const violations = new Counter('longtake_violations')
const reconnects = new Counter('longtake_reconnects')

const roundsSeconds = Math.ceil(SESSIONS / AT_ONCE) * (SECONDS / SPEED + (3 * PATIENCE_MS) / 1000)
export const options = {
  scenarios: { recording: { executor: 'shared-iterations', vus: AT_ONCE, iterations: SESSIONS, maxDuration: `${Math.ceil(RAMP_MS / 1000 + roundsSeconds)}s` } },
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
  thresholds: {
    longtake_ack_ms: [`p(95)<${setting('LONGTAKE_LOAD_ACK_P95_MS')}`, `p(99)<${setting('LONGTAKE_LOAD_ACK_P99_MS')}`],
    longtake_whole: ['rate==1'],
    longtake_sessions: [`count==${SESSIONS}`],
    longtake_violations: ['count==0'],
    // Makes k6 keep them, so that the report has them also when there were none.
    longtake_acknowledged: ['count>0'],
    longtake_reconnects: ['count>=0'],
  },
}

export default async function () {
  let isWhole = false
  violations.add(0)
  reconnects.add(0)
  try {
    await sleepMs(__ITER === 0 ? Math.random() * RAMP_MS : 0)
    isWhole = await session()
  } catch (error) {
    console.error(`a session failed: ${error.message ?? error}`)
  }
  whole.add(isWhole)
  sessions.add(1)
}

async function session() {
  const created = http.post(`${URL}/v1/sessions`, JSON.stringify({ metadata: { load: true } }), { headers: { ...admin, 'Content-Type': 'application/json' }, tags: { name: 'create' } })
  if (created.status !== 201) throw new Error(`creating it was answered with ${created.status}: ${created.body}`)
  const { id, ingest } = created.json()
  const kept = { acknowledged: 0 }
  const client = new WireClient({
    ...ingest,
    on: {
      acknowledged(ms, bytes) {
        kept.acknowledged += 1
        ackMs.add(ms)
        acknowledged.add(1)
        sentBytes.add(bytes)
      },
      violation(text) {
        violations.add(1)
        console.error(`${id}: ${text}`)
      },
      reconnected() {
        reconnects.add(1)
      },
    },
  })
  try {
    await client.connect()
    // Faster than time, a session lies in the past, so that its clock ends at now and not behind it.
    const startedAt = Math.round(Date.now() - SECONDS * 1000 * (1 - 1 / SPEED))
    await Promise.all(Object.keys(MEDIA).map((track) => recordTrack(client, track, startedAt)))
    await client.finish(PATIENCE_MS)
  } finally {
    client.end()
  }
  return verify(id, client.parts, kept)
}

/** A chunk a second; when the recording is at its end, another part begins. */
async function recordTrack(client, track, startedAt) {
  const { mimeType, chunks } = MEDIA[track]
  const began = Date.now()
  const closing = []
  for (let second = 0; second < SECONDS;) {
    const part = client.openPart({ track, mimeType, startedAt: startedAt + second * 1000 })
    for (let seq = 0; seq < chunks.length && second < SECONDS; seq += 1) {
      second += 1
      await sleepMs(began + (second * 1000) / SPEED - Date.now())
      client.record(part, second < SECONDS ? chunks[seq] : endingOf(MEDIA[track], seq), startedAt + second * 1000)
    }
    closing.push(client.closePart(part, PATIENCE_MS))
  }
  await Promise.all(closing)
}

/** Waits until the session is complete and finalized, and compares what is stored with what was acknowledged. */
async function verify(id, parts, kept) {
  const finished = Date.now()
  let completeAfter
  let state
  for (let pauseMs = 200; ; pauseMs = Math.min(2000, pauseMs * 1.5)) {
    const answer = http.get(`${URL}/v1/sessions/${id}`, { headers: admin, tags: { name: 'status' } })
    if (answer.status !== 200) throw new Error(`${id}: its status was answered with ${answer.status}`)
    state = answer.json()
    if (state.status === 'complete') completeAfter ??= Date.now() - finished
    if (state.status === 'complete' && state.finalizedVersion === state.version) break
    if (Date.now() - finished > PATIENCE_MS) throw new Error(`${id} is ${state.status}, version ${state.version}, finalized ${state.finalizedVersion}, ${PATIENCE_MS / 1000} s after its end; parts that are not whole: ${JSON.stringify(unwholeParts(state))}`)
    await sleepMs(pauseMs)
  }
  completeMs.add(completeAfter)
  finalizedMs.add(Date.now() - finished)
  const known = Object.values(state.tracks).flatMap((track) => track.parts)
  const inFile = known.reduce((sum, part) => sum + part.stored, 0)
  stored.add(inFile)
  const faults = [
    ...(inFile === kept.acknowledged ? [] : [`${kept.acknowledged} chunks were acknowledged and ${inFile} are stored`]),
    ...parts.flatMap(({ id: part, made }) => {
      const found = known.find((one) => one.part === part)
      return found?.stored === made && found.chunks === made && found.gaps.length === 0 ? [] : [`part ${part} of ${made} chunks is ${JSON.stringify(found)}`]
    }),
    ...Object.entries(state.tracks).flatMap(([track, { url }]) => (beginsAsWebm(url) ? [] : [`${track} cannot be read`])),
  ]
  for (const fault of faults) console.error(`${id}: ${fault}`)
  if (faults.length > 0) return false
  if (!KEEP) http.del(`${URL}/v1/sessions/${id}`, null, { headers: admin, tags: { name: 'delete' } })
  return true
}

const unwholeParts = ({ tracks }) =>
  Object.values(tracks).flatMap(({ parts }) => parts.filter(({ chunks, stored, gaps }) => chunks !== stored || gaps.length > 0).map(({ part, chunks, stored, gaps }) => ({ part, chunks, stored, gaps })))

function beginsAsWebm(url) {
  const answer = http.get(url, { headers: { ...admin, Range: 'bytes=0-3' }, responseType: 'binary', tags: { name: 'track' } })
  return check(answer, { 'a track is served by Range': ({ status, body }) => status === 206 && new DataView(body).getUint32(0) === 0x1a45dfa3 })
}

function sleepMs(ms) {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)))
}

export function handleSummary(data) {
  return { stdout: report(data, { SESSIONS, SECONDS, SPEED }) }
}
