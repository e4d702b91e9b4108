import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import type { PublicSession } from '@longtake/contracts'
import type { BrowserEngine, RecordingContext, RecordingPage } from '../e2e/browser-engine.ts'
import { CHROMIUM } from '../e2e/chromium.ts'
import { Eavesdropper } from '../e2e/eavesdropper.ts'
import { FIREFOX } from '../e2e/firefox.ts'
import type { FrameTap } from '../e2e/frame-tap.ts'
import type { TcpLine } from '../e2e/tcp-line.ts'
import type { System } from '../local/system.ts'
import { untilPage } from '../e2e/until-page.ts'
import { judge, startRecording, stopRecording, systemOverLine, untilCells } from './record-page.ts'
import { call, createSession, finalized, untilStatus } from './sessions.ts'

const CUT_MS = 20_000
/** A gap of less than a second is not told of. */
const GAP_MS = 1500

for (const engine of [CHROMIUM, FIREFOX]) test(`what ${engine.name} has kept arrives, whatever becomes of its network, its page and itself`, { skip: engine.missing }, async (t) => {
  await using scene = await systemOverLine(engine)
  const { system, line, tap } = scene
  const browser = await engine.launch(tap)
  t.after(() => browser.close())
  const places = async () => ({ system, line, context: await browser.newContext() })

  await t.test('twenty seconds without a network cost nothing', async (step) => recordsThroughACut(step, await places()))
  await t.test('after a reload the next page uploads what waited, and goes on with the next part', async (step) => goesOnAfterReload(step, await places()))
  await t.test('a second tab leaves the recording of the first alone, and cannot record the same track', async () => leavesTheLivingAlone(await places()))
  await t.test('what a killed browser had kept is uploaded on the next visit, and nobody else could read it', (step) => survivesTheBrowser(step, { system, line, tap, engine }))
})

interface Places {
  system: System
  line: TcpLine
  context: RecordingContext
}

async function recordsThroughACut(t: TestContext, { system, line, context }: Places): Promise<void> {
  const { page, recorder, session } = await startRecording(system, context)
  await untilCells(page, 'acknowledged', 2)
  line.cut()
  await delay(CUT_MS)
  line.mend()
  await untilCells(page, 'waiting', 0, '<=')
  await stopRecording(page)
  assert.equal((await judge(t, system, session, recorder)).status, 'complete')
  await context.close()
}

async function goesOnAfterReload(t: TestContext, { system, line, context }: Places): Promise<void> {
  const { page, recorder, session } = await startRecording(system, context)
  await untilCells(page, 'acknowledged', 2)
  line.cut()
  await untilCells(page, 'waiting', 3)
  await page.reload()
  const kept = await keptChunks(page)
  assert.ok(kept.length >= 6, `${kept.length} chunks wait in the spool`)
  line.mend()
  await delay(GAP_MS)
  await page.click('#continue')
  await page.waitForSelector(`#state[data-session="${session}"]`)
  await page.waitForSelector('#recovery[data-state=uploaded]', { timeout: 60_000 })
  await untilCells(page, 'acknowledged', 2)
  await stopRecording(page)
  const status = await judge(t, system, session, recorder)
  // How far the first parts would have gone on, nobody knows.
  assert.equal(status.status, 'complete-with-gaps')
  assert.deepEqual(partsOf(status).map(({ closed, clean }) => ({ closed, clean })), [false, true, false, true].map((clean) => ({ closed: true, clean })))
  const unrecorded = partsOf(status).flatMap(({ gaps }) => gaps.filter(({ kind }) => kind === 'not-recorded'))
  assert.deepEqual(new Set(unrecorded.map(({ cause }) => cause)), new Set(['page-closed']))
  assertStored(status, recorder, kept)
  assert.deepEqual(await keptChunks(page), [])
  await context.close()
}

async function leavesTheLivingAlone({ system, context }: Places): Promise<void> {
  const { id, ingest } = await createSession(system)
  const [first, second] = [await context.newPage(), await context.newPage()]
  for (const page of [first, second]) await page.goto(`${system.queryUrl}/record`)
  await first.evaluate(startScript(ingest))
  await untilPage(first, 'window.recorder.progress.webcam?.acknowledged.chunks >= 1')
  const seen = await second.evaluate<{ reports: object[]; refusal: string }>(`(async () => {
    const { recoverPending } = await import('/pages/recorder/index.js')
    const [reports, refusal] = await Promise.all([
      recoverPending({ access: () => { throw new Error('nothing is to be recovered') } }),
      ${startScript(ingest)}.then(() => 'recording', ({ code }) => code),
    ])
    return { reports, refusal }
  })()`)
  assert.deepEqual(seen, { reports: [], refusal: 'already-recording' })
  await first.evaluate('window.recorder.stop()')
  assert.deepEqual(await first.evaluate('window.errors'), [])
  assert.equal((await untilStatus(system, id, finalized)).status, 'complete')
  await context.close()
}

async function survivesTheBrowser(t: TestContext, { system, line, tap, engine }: Omit<Places, 'context'> & { tap: FrameTap; engine: BrowserEngine }): Promise<void> {
  const profile = await mkdtemp(join(tmpdir(), 'longtake-profile-'))
  t.after(() => rm(profile, { recursive: true, force: true }))
  const first = await engine.launchMortal(profile, tap)
  t.after(first.kill)
  const started = await startRecording(system, first.context)
  await untilCells(started.page, 'acknowledged', 2)
  line.cut()
  await untilCells(started.page, 'waiting', 3)
  const kept = await keptChunks(started.page)
  assert.ok(kept.length >= 6, `${kept.length} chunks wait in the spool`)
  const stored = await storedBytes(started.page)
  await first.kill()
  line.mend()

  const second = await engine.launchMortal(profile, tap)
  t.after(second.kill)
  const page = await second.context.newPage()
  const recovery = new Eavesdropper(page, started.recorder)
  await page.goto(`${system.queryUrl}/record#key=${system.apiKey}`)
  await page.waitForSelector('#recovery[data-state=uploaded]', { timeout: 60_000 })
  await page.waitForSelector('#continue')
  await page.waitForSelector(`#watch[href*="${started.session}"]`)
  // Else the backend ends a session of whose parts' ends nobody has heard yet.
  await untilStatus(system, started.session, (status) => partsOf(status).every(({ closed }) => closed))
  await call(system, `/v1/sessions/${started.session}/finish`, { method: 'POST' })
  const status = await judge(t, system, started.session, recovery)
  // A dying browser may take its capture first: then the page still ends that part in good order.
  assert.ok(partsOf(status).every(({ closed }) => closed))
  assert.equal(status.status, partsOf(status).every(({ clean }) => clean) ? 'complete' : 'complete-with-gaps')
  assertStored(status, recovery, kept)
  assertUnreadable(stored, recovery, kept)
  assert.deepEqual(await keptChunks(page), [])
  await second.kill()
}

const partsOf = ({ tracks }: PublicSession) => Object.values(tracks).flatMap(({ parts }) => parts)

/** All that was kept was acknowledged, and the session has no gap. */
function assertStored(status: PublicSession, recorder: Eavesdropper, kept: readonly Kept[]): void {
  const acknowledged = new Set(recorder.parts.flatMap(({ part, acknowledged }) => [...acknowledged.keys()].map((seq) => `${part} ${seq}`)))
  assert.deepEqual(kept.filter(([part, seq]) => !acknowledged.has(`${part} ${seq}`)), [])
  assert.deepEqual(partsOf(status).flatMap(({ gaps }) => gaps.filter(({ kind }) => kind === 'lost')), [])
}

/** The store held as many bytes as the chunks have, and no beginning of any. */
function assertUnreadable(stored: Buffer, recorder: Eavesdropper, kept: readonly Kept[]): void {
  const payloads = kept.map(([id, seq]) => recorder.parts.find(({ part }) => part === id)!.made.get(seq)!)
  assert.ok(stored.length > payloads.reduce((sum, { length }) => sum + length, 0))
  assert.ok(payloads.some(({ length }) => length > 1000))
  assert.deepEqual(payloads.filter((payload) => payload.length >= 16 && stored.includes(Buffer.from(payload.subarray(0, 16)))), [])
}

type Kept = [part: string, seq: number]

// These run in the page, hence as text: this project's types are those of Node.
const keptChunks = (page: RecordingPage): Promise<Kept[]> =>
  page.evaluate<Kept[]>(`(async () => {
    const done = (request) => new Promise((resolve, reject) => { request.onsuccess = () => resolve(request.result); request.onerror = () => reject(request.error) })
    const database = await done(indexedDB.open('longtake-spool'))
    const keys = await done(database.transaction('chunks').objectStore('chunks').getAllKeys())
    database.close()
    return keys.map(([, , part, seq]) => [part, seq])
  })()`)

/** All payloads of the spool. */
async function storedBytes(page: RecordingPage): Promise<Buffer> {
  const base64 = await page.evaluate<string>(`(async () => {
    const done = (request) => new Promise((resolve, reject) => { request.onsuccess = () => resolve(request.result); request.onerror = () => reject(request.error) })
    const database = await done(indexedDB.open('longtake-spool'))
    const payloads = await done(database.transaction('payloads').objectStore('payloads').getAll())
    database.close()
    const bytes = new Uint8Array(await new Blob(payloads.flatMap(({ iv, sealed }) => [iv, sealed])).arrayBuffer())
    let text = ''
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
    return btoa(text)
  })()`)
  return Buffer.from(base64, 'base64')
}

const startScript = (ingest: object): string => `(async () => {
  const { startRecorder } = await import('/pages/recorder/index.js')
  const stream = await navigator.mediaDevices.getUserMedia({ video: true })
  window.errors = []
  window.recorder = await startRecorder({ ingest: ${JSON.stringify(ingest)}, tracks: { webcam: { stream } } })
  window.recorder.on('error', ({ message }) => window.errors.push(message))
})()`
