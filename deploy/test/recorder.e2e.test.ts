import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { CreateSessionResponse, PublicSession } from '@longtake/contracts'
import type { RecordingBrowser, RecordingPage } from '../e2e/browser-engine.ts'
import { CHROMIUM } from '../e2e/chromium.ts'
import { Eavesdropper } from '../e2e/eavesdropper.ts'
import { FIREFOX } from '../e2e/firefox.ts'
import { startHeaderProxy } from '../e2e/header-proxy.ts'
import type { TcpLine } from '../e2e/tcp-line.ts'
import type { System } from '../local/system.ts'
import { untilPage } from '../e2e/until-page.ts'
import { judge, startRecording, stopRecording, systemOverLine, untilCells } from './record-page.ts'
import { call, createSession } from './sessions.ts'

for (const engine of [CHROMIUM, FIREFOX]) test(`the recorder in ${engine.name}`, { skip: engine.missing }, async (t) => {
  await using scene = await systemOverLine(engine)
  const { system, line } = scene
  const browser = await engine.launch(scene.tap)
  t.after(() => browser.close())

  await t.test('records on through cuts, lost acks and a restarting gateway, and stops when all is durable', (step) => survivesFaults(step, { system, browser, line }))
  await t.test('records several parts of a track, pauses, and tells when a track ends', (step) => recordsParts(step, { system, browser }))
  await t.test('ends with the session that is deleted, and leaves nothing on the computer', () => endsWhenDeleted({ system, browser }))
  await t.test('says why no connection comes about, and records meanwhile', () => saysWhyConnectionsFail({ system, browser, isBehindTap: engine.needsTap }))
  await t.test('needs no Worker: where the page forbids it, its own timers serve', () => recordsWithoutWorker({ system, browser }))
})

interface Places {
  system: System
  browser: RecordingBrowser
}

async function survivesFaults(t: TestContext, { system, browser, line }: Places & { line: TcpLine }): Promise<void> {
  const { page, recorder, session } = await startRecording(system, browser)
  await untilCells(page, 'acknowledged', 2)

  line.cut()
  await page.waitForSelector('#state[data-connection=offline]')
  await untilCells(page, 'waiting', 4)
  assert.ok(((await spooled(page))['chunks'] ?? 0) >= 8, 'what waits is in the spool')
  line.mend()
  await untilCaughtUp(page)

  // Durable on the server, but not known here: it is sent again, and must not be there twice.
  line.loseAnswers()
  await untilCells(page, 'waiting', 2)
  line.cut()
  line.mend()
  await untilCaughtUp(page)

  await system.processes.stop('gateway')
  await page.waitForSelector('#state:not([data-connection=connected])')
  await system.processes.start('gateway')
  await untilCaughtUp(page)

  line.cut()
  await page.waitForSelector('#state[data-connection=offline]')
  await page.click('#stop')
  await page.waitForSelector('#state[data-state=stopping]')
  assert.match((await page.textContent('#state')) ?? '', /kept on this computer/)
  line.mend()
  await page.waitForSelector('#state[data-state=stopped]', { timeout: 60_000 })
  assert.deepEqual(await spooled(page), { clients: 0, parts: 0, chunks: 0, payloads: 0 })
  const waiting = await page.evaluate("[...document.querySelectorAll('[data-cell=waiting]')].map((cell) => cell.dataset.chunks)")
  assert.deepEqual(waiting, ['0', '0'])

  assert.equal((await judge(t, system, session, recorder)).status, 'complete')
  await page.close()
}

async function recordsParts(t: TestContext, { system, browser }: Places): Promise<void> {
  const { page, session } = await openLibrary(system, browser)
  const recorder = new Eavesdropper(page)
  const seen = await page.evaluate<{ events: string[]; states: string[]; errors: string[] }>(`(async () => {
    const { startRecorder } = await import('/pages/recorder/longtake-recorder.min.js')
    const open = () => navigator.mediaDevices.getUserMedia({ video: true, audio: true })
    const first = await open()
    const recorder = await startRecorder({ ingest: ${JSON.stringify(session.ingest)}, tracks: { webcam: { stream: first } } })
    const seen = { events: [], states: [], errors: [] }
    const until = (holds) => new Promise((resolve) => {
      const end = recorder.on('progress', (progress) => { if (holds(progress)) { end(); resolve() } })
    })
    recorder.on('track-ended', ({ track }) => seen.events.push('ended ' + track))
    recorder.on('state', ({ phase }) => { if (seen.states.at(-1) !== phase) seen.states.push(phase) })
    recorder.on('error', (error) => seen.errors.push(error.message))
    await until(({ webcam }) => webcam.acknowledged.chunks >= 2)
    recorder.pause()
    recorder.resume()
    const paused = recorder.progress.webcam.recorded.chunks
    await until(({ webcam }) => webcam.recorded.chunks >= paused + 2)
    const ended = new Promise((resolve) => recorder.on('track-ended', resolve))
    for (const track of first.getTracks()) track.stop()
    await ended
    const before = recorder.progress.webcam.recorded.chunks
    const second = await open()
    await recorder.addTrack('webcam', { stream: second, videoBitsPerSecond: 500000 })
    await until(({ webcam }) => webcam.acknowledged.chunks >= before + 2)
    await recorder.stop()
    await recorder.stop()
    seen.events.push(recorder.state.phase)
    return seen
  })()`)
  assert.deepEqual(seen, { events: ['ended webcam', 'ended webcam', 'stopped'], states: ['recording', 'stopping', 'stopped'], errors: [] })
  const status = await judge(t, system, session.id, recorder)
  assert.equal(status.status, 'complete')
  assert.deepEqual(status.tracks['webcam']?.parts.map(({ closed, clean }) => [closed, clean]), [[true, true], [true, true], [true, true]])
  await page.close()
}

async function endsWhenDeleted({ system, browser }: Places): Promise<void> {
  const { page, session } = await openLibrary(system, browser)
  await page.evaluate(`(async () => {
    const { startRecorder } = await import('/pages/recorder/longtake-recorder.min.js')
    const stream = await navigator.mediaDevices.getUserMedia({ video: true })
    window.recorder = await startRecorder({ ingest: ${JSON.stringify(session.ingest)}, tracks: { webcam: { stream } } })
    window.codes = []
    window.recorder.on('error', ({ code }) => window.codes.push(code))
  })()`)
  await untilPage(page, 'window.recorder.progress.webcam?.acknowledged.chunks >= 1')
  await fetch(`${system.queryUrl}/v1/sessions/${session.id}`, { method: 'DELETE', headers: { authorization: `Bearer ${system.apiKey}` } })
  await untilPage(page, "window.recorder.state.phase === 'failed'")
  const end = await page.evaluate("window.recorder.stop().then(() => 'stopped', ({ code }) => code)")
  assert.equal(end, 'deleted')
  assert.deepEqual(await page.evaluate('window.codes'), ['refused', 'deleted'])
  await untilPage(page, `(${COUNT_SPOOLED})().then(({ clients }) => clients === 0)`)
  assert.deepEqual(await spooled(page), { clients: 0, parts: 0, chunks: 0, payloads: 0 })
  await page.close()
}

/** The tap passes WebSockets only, and answers all else itself: to the recorder it is a proxy that blocks. */
async function saysWhyConnectionsFail({ system, browser, isBehindTap }: Places & { isBehindTap: boolean }): Promise<void> {
  const { page, session } = await openLibrary(system, browser)
  const nobody = session.ingest.url.replace(/:\d+/, ':9')
  const seen = await page.evaluate(`(async () => {
    const { startRecorder } = await import('/pages/recorder/longtake-recorder.min.js')
    const stream = await navigator.mediaDevices.getUserMedia({ video: true })
    const fails = async (track, ingest) => {
      const recorder = await startRecorder({ ingest: { ...${JSON.stringify(session.ingest)}, ...ingest }, tracks: { [track]: { stream } }, warnBeforeLeaving: false })
      const { reason, retryInMs } = await new Promise((resolve) => recorder.on('connection-failed', resolve, { once: true }))
      return [reason, retryInMs >= 0, recorder.tracks[track]]
    }
    return Promise.all([fails('webcam', { token: 'no token' }), fails('screen', { url: '${nobody}' })])
  })()`)
  assert.deepEqual(seen, [[isBehindTap ? 'blocked' : 'token-refused', true, 'recording'], ['unreachable', true, 'recording']])
  await page.close()
}

async function recordsWithoutWorker({ system, browser }: Places): Promise<void> {
  const context = await browser.newContext()
  const page = await context.newPage()
  await using proxy = await startHeaderProxy(system.queryUrl, { 'content-security-policy': "worker-src 'none'" })
  await page.goto(`${proxy.origin}/record#key=${system.apiKey}`)
  await page.evaluate("window.violated = []; addEventListener('securitypolicyviolation', ({ effectiveDirective }) => window.violated.push(effectiveDirective))")
  await page.click('#start')
  await untilCells(page, 'acknowledged', 2)
  await stopRecording(page)
  assert.deepEqual([...new Set(await page.evaluate<string[]>('window.violated'))], ['worker-src'])
  await context.close()
}

/** A page of the same origin as the library's bundle, with a session to record into. */
async function openLibrary(system: System, browser: RecordingBrowser): Promise<{ page: RecordingPage; session: CreateSessionResponse }> {
  const session = await createSession(system)
  const page = await browser.newPage()
  await page.goto(`${system.queryUrl}/record`)
  await call<PublicSession>(system, `/v1/sessions/${session.id}`)
  return { page, session }
}

async function untilCaughtUp(page: RecordingPage): Promise<void> {
  await page.waitForSelector('#state[data-connection=connected]', { timeout: 60_000 })
  await untilPage(page, "[...document.querySelectorAll('[data-cell=waiting]')].every((cell) => cell.dataset.chunks === '0')")
}

// Runs in the page, hence as text: this project's types are those of Node.
const COUNT_SPOOLED = `async () => {
  const done = (request) => new Promise((resolve, reject) => { request.onsuccess = () => resolve(request.result); request.onerror = () => reject(request.error) })
  const database = await done(indexedDB.open('longtake-spool'))
  const count = async (store) => [store, await done(database.transaction(store).objectStore(store).count())]
  const counts = Object.fromEntries(await Promise.all(['clients', 'parts', 'chunks', 'payloads'].map(count)))
  database.close()
  return counts
}`

const spooled = (page: RecordingPage): Promise<Record<string, number>> => page.evaluate(`(${COUNT_SPOOLED})()`)
