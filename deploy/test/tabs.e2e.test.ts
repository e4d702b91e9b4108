import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { CreateSessionResponse, PublicSession } from '@longtake/contracts'
import type { BrowserContext } from 'playwright-core'
import { launchChromium } from '../e2e/chromium.ts'
import { Eavesdropper } from '../e2e/eavesdropper.ts'
import { untilPage } from '../e2e/until-page.ts'
import type { System } from '../local/system.ts'
import { judge, startRecording, stopRecording, untilCells } from './record-page.ts'
import { createSession, disposableSystem, RECORDING_SERVICES, untilStatus } from './sessions.ts'

interface Places {
  t: TestContext
  system: System
  context: BrowserContext
}

test('what people do to tabs, pages and shared screens while they record', { concurrency: true }, async (t) => {
  await using system = await disposableSystem({ services: RECORDING_SERVICES })
  const browser = await launchChromium()
  t.after(() => browser.close())
  const places = async (step: TestContext): Promise<Places> => ({ t: step, system, context: await browser.newContext() })
  // They mostly wait, so they wait together.
  await Promise.all([
    t.test('a duplicated tab says that the other one records, and goes on when that is closed', async (step) => duplicates(await places(step))),
    t.test('"Stop sharing" keeps every frame until then, and the sound goes on in a part of its own', async (step) => stopsSharing(await places(step))),
    t.test('a page out of the back/forward cache leaves alone what another one has recovered', async (step) => returns(await places(step))),
    t.test('a component that mounts twice records once, in one session', async (step) => mountsTwice(await places(step))),
  ])
})

const partsOf = ({ tracks }: PublicSession): PublicSession['tracks'][string]['parts'] => Object.values(tracks).flatMap(({ parts }) => parts)

async function duplicates({ t, system, context }: Places): Promise<void> {
  const original = await startRecording(system, context)
  await untilCells(original.page, 'acknowledged', 2)
  const opened = context.waitForEvent('page')
  // As the browser's own command it copies the tab's storage.
  await original.page.evaluate('window.open(location.href)')
  const copy = await opened
  const recorder = new Eavesdropper(copy, original.recorder)
  await copy.waitForSelector('#state:has-text("copy of one that is recording")')
  assert.equal(await copy.isVisible('#continue'), false)
  await untilCells(original.page, 'acknowledged', 5)
  assert.equal(await original.page.getAttribute('#state', 'data-connection'), 'connected')
  await original.page.close()
  await copy.waitForSelector('#continue', { state: 'visible' })
  await copy.click('#continue')
  await copy.waitForSelector(`#state[data-session="${original.session}"]`)
  await untilCells(copy, 'acknowledged', 2)
  await stopRecording(copy)
  await judge(t, system, original.session, recorder)
  await context.close()
}

// Runs in the page, hence as text: this project's types are those of Node.
const TOOLS = `
const { startRecorder, recoverPending } = await import('/pages/recorder/index.js')
const until = async (holds) => { while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 50)) }
const painted = () => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 240 })
  let hue = 0
  setInterval(() => { const paint = canvas.getContext('2d'); paint.fillStyle = 'hsl(' + (hue += 7) + ' 60% 50%)'; paint.fillRect(0, 0, 320, 240) }, 40)
  return canvas.captureStream(15)
}
const withSound = (stream) => {
  const context = new AudioContext()
  const tone = context.createOscillator()
  const out = context.createMediaStreamDestination()
  tone.connect(out)
  tone.start()
  return new MediaStream([...stream.getTracks(), ...out.stream.getTracks()])
}`

const ingestOf = ({ ingest }: CreateSessionResponse): string => JSON.stringify(ingest)

async function stopsSharing({ t, system, context }: Places): Promise<void> {
  const session = await createSession(system)
  const page = await context.newPage()
  const recorder = new Eavesdropper(page)
  await page.goto(`${system.queryUrl}/record`)
  const seen = await page.evaluate<{ reports: string[]; tracks: object; ended: string[] }>(`(async () => {
    ${TOOLS}
    const stream = withSound(painted())
    const recorder = await startRecorder({ ingest: ${ingestOf(session)}, tracks: { screen: { stream }, webcam: { stream: painted() } } })
    const [reports, ended] = [[], []]
    recorder.on('report', ({ event, track, detail = '' }) => reports.push(track + ' ' + event + ' ' + detail.split(':')[0]))
    recorder.on('track-ended', ({ track }) => ended.push(track))
    await until(() => recorder.progress.screen !== undefined)
    const grows = async () => { const { chunks } = recorder.progress.screen.recorded; await until(() => recorder.progress.screen.recorded.chunks >= chunks + 3) }
    await grows()
    const click = (source) => { source.stop(); source.dispatchEvent(new Event('ended')) }
    click(stream.getVideoTracks()[0])
    await grows()
    const { tracks } = recorder
    click(stream.getAudioTracks()[0])
    await until(() => ended.includes('screen'))
    await recorder.addTrack('screen', { stream: painted() })
    await grows()
    await recorder.stop()
    return { reports: reports.filter((report) => report.startsWith('screen')), tracks, ended: ended.slice(0, 1) }
  })()`)
  assert.deepEqual(seen, { reports: ['screen device-lost video', 'screen device-lost audio'], tracks: { screen: 'recording', webcam: 'recording' }, ended: ['screen'] })
  const status = await judge(t, system, session.id, recorder)
  assert.equal(status.status, 'complete')
  const { parts, files } = status.tracks['screen']!
  assert.deepEqual(parts.map(({ closed, clean }) => [closed, clean]), Array.from({ length: 3 }, () => [true, true]))
  assert.equal(status.tracks['webcam']!.parts.length, 1)
  t.diagnostic(JSON.stringify(files.map(({ mimeType, durationMs }) => ({ mimeType, durationMs }))))
  await context.close()
}

async function returns({ t, system, context }: Places): Promise<void> {
  const session = await createSession(system)
  const [first, second] = [await context.newPage(), await context.newPage()]
  const recorder = new Eavesdropper(first)
  for (const page of [first, second]) await page.goto(`${system.queryUrl}/record`)
  await first.evaluate(`(async () => {
    ${TOOLS}
    window.errors = []
    window.recorder = await startRecorder({ ingest: ${ingestOf(session)}, tracks: { webcam: { stream: painted() } } })
    window.recorder.on('error', ({ message }) => window.errors.push(message))
  })()`)
  await untilPage(first, 'window.recorder.progress.webcam?.acknowledged.chunks >= 3')
  const client = await first.evaluate<string>('window.recorder.client')
  // As a browser that frees the locks of a page in its back/forward cache; here the page goes on meanwhile.
  await first.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
  const recovery = new Eavesdropper(second, recorder)
  const reports = await second.evaluate<{ outcome: string }[]>(`(async () => {
    ${TOOLS}
    await new Promise((resolve) => navigator.locks.request('longtake-client:${session.id}:${client}', { steal: true }, resolve))
    return recoverPending({ access: () => (${ingestOf(session)}) })
  })()`)
  assert.ok(reports.every(({ outcome }) => outcome === 'uploaded'), JSON.stringify(reports))
  await first.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
  await untilPage(first, `window.recorder.client !== '${client}' && window.recorder.progress.webcam?.waiting.chunks <= 2`)
  const before = await first.evaluate<number>('window.recorder.progress.webcam.acknowledged.chunks')
  await untilPage(first, `window.recorder.progress.webcam.acknowledged.chunks >= ${before + 3}`)
  await first.evaluate('window.recorder.stop()')
  // A cached page stands still; this one goes on until its connection is taken over.
  const errors = await first.evaluate<string[]>('window.errors')
  assert.deepEqual(errors.filter((message) => !message.startsWith('REC_TAKEN_OVER')), [])
  const status = await judge(t, system, session.id, { parts: [...new Set([...recorder.parts, ...recovery.parts])] })
  const parts = partsOf(status)
  t.diagnostic(JSON.stringify(parts.map(({ chunks, stored, closed, clean }) => ({ chunks, stored, closed, clean }))))
  assert.ok(parts.length >= 2)
  assert.ok(parts.every(({ closed }) => closed))
  assert.equal(parts.at(-1)!.clean, true)
  assert.equal(parts.flatMap(({ gaps }) => gaps).filter(({ kind }) => kind === 'lost').length, 0)
  await context.close()
}

async function mountsTwice({ t, system, context }: Places): Promise<void> {
  const session = await createSession(system)
  const page = await context.newPage()
  const recorder = new Eavesdropper(page)
  await page.goto(`${system.queryUrl}/record`)
  const seen = await page.evaluate<{ both: string[]; refused: string; tracks: object }>(`(async () => {
    ${TOOLS}
    const begin = () => startRecorder({ ingest: ${ingestOf(session)}, tracks: { webcam: { stream: painted() } } })
    // An effect, its clean-up and the effect again, in one tick.
    const first = begin()
    const cleanedUp = first.then((recorder) => recorder.stop())
    const second = await begin()
    await until(() => second.progress.webcam?.acknowledged.chunks >= 2)
    const third = await begin().then(() => '', ({ code, message }) => code + ': ' + message)
    const { tracks } = second
    await Promise.all([cleanedUp, second.stop()])
    return { both: [(await first).state.phase, second.state.phase], refused: third, tracks }
  })()`)
  assert.deepEqual(seen.both, ['stopped', 'stopped'])
  assert.deepEqual(seen.tracks, { webcam: 'recording' })
  assert.match(seen.refused, /^already-recording: .*StrictMode/)
  // The first recorder's end completes the session while nothing of the second one is known: its part makes a later version.
  const recorded = new Set(recorder.parts.map(({ part }) => part))
  await untilStatus(system, session.id, (status) => partsOf(status).filter(({ part, closed }) => closed && recorded.has(part)).length === recorded.size)
  const status = await judge(t, system, session.id, recorder)
  assert.equal(status.status, 'complete')
  assert.ok(partsOf(status).every(({ closed, clean }) => closed && clean))
  await context.close()
}
