import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { CreateSessionResponse } from '@longtake/contracts'
import type { Browser, Page } from 'playwright-core'
import { launchChromium } from '../e2e/chromium.ts'
import { Eavesdropper } from '../e2e/eavesdropper.ts'
import { TcpLine } from '../e2e/tcp-line.ts'
import type { System } from '../local/system.ts'
import { untilPage } from '../e2e/until-page.ts'
import { judge, systemOverLine, untilCells } from './record-page.ts'
import { createSession, finalized, untilStatus } from './sessions.ts'

interface Places {
  t: TestContext
  system: System
  browser: Browser
  /** The gateway's own port; the sessions' addresses lead over the line. */
  gateway: number
}

test('what happens to the sources, the line and the page of a recording', { concurrency: true }, async (t) => {
  await using scene = await systemOverLine()
  const { system, line, gateway } = scene
  const browser = await launchChromium()
  t.after(() => browser.close())
  // They mostly wait, so they wait together.
  await Promise.all([
    t.test('what a track loses, gets back or changes is its next part, and the status says why nothing was recorded between', (step) => changesSources({ t: step, system, browser, gateway })),
    t.test('a picture that stands still leaves the sound recorded, and is recorded again when it moves', (step) => survivesStall({ t: step, system, browser, gateway })),
    t.test('the page says how it stands, from the check before the start to all safe', (step) => saysHowItStands({ t: step, system, browser, gateway, line })),
    t.test('a line that is too thin lowers the bitrate in a next part, and preflight says before how thin it is', (step) => lowersBitrate({ t: step, system, browser, gateway })),
  ])
})

// Runs in the page, hence as text: this project's types are those of Node.
const TOOLS = `
const { startRecorder, preflight } = await import('/pages/recorder/index.js')
const until = (holds) => new Promise((resolve) => { const look = setInterval(() => { if (holds()) { clearInterval(look); resolve() } }, 50) })
const painted = (width, height) => {
  const canvas = Object.assign(document.createElement('canvas'), { width, height })
  let hue = 0
  setInterval(() => { const paint = canvas.getContext('2d'); paint.fillStyle = 'hsl(' + (hue += 7) + ' 60% 50%)'; paint.fillRect(0, 0, canvas.width, canvas.height) }, 40)
  return canvas
}
/** Sources that come over a peer connection: it can mute and end them, as a device does. */
const remote = async (tracks) => {
  const [here, there] = [new RTCPeerConnection(), new RTCPeerConnection()]
  here.onicecandidate = ({ candidate }) => candidate && there.addIceCandidate(candidate)
  there.onicecandidate = ({ candidate }) => candidate && here.addIceCandidate(candidate)
  const negotiate = async () => {
    await here.setLocalDescription(await here.createOffer())
    await there.setRemoteDescription(here.localDescription)
    await there.setLocalDescription(await there.createAnswer())
    await here.setRemoteDescription(there.localDescription)
  }
  const received = []
  there.ontrack = ({ track }) => { if (!received.includes(track)) received.push(track) }
  for (const track of tracks) here.addTrack(track)
  await negotiate()
  await until(() => received.length === tracks.length && received.every(({ muted }) => !muted))
  const direct = async (index, direction) => { here.getTransceivers()[index].direction = direction; await negotiate() }
  return { received, mute: (index) => direct(index, 'inactive'), unmute: (index) => direct(index, 'sendrecv'), close: () => there.close() }
}`

async function changesSources({ t, system, browser, gateway }: Places): Promise<void> {
  const session = await createSession(system)
  const page = await openLibrary(system, browser)
  const recorder = new Eavesdropper(page)
  const seen = await page.evaluate<{ reports: string[]; ended: string[]; errors: string[] }>(`(async () => {
    ${TOOLS}
    let made = 0
    window.MediaRecorder = class extends MediaRecorder { constructor(...options) { super(...options); made += 1 } }
    const camera = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 }, audio: true })
    const [sound] = camera.getAudioTracks()
    const far = await remote([...camera.getVideoTracks(), ...painted(320, 240).captureStream(15).getTracks()])
    const recorder = await startRecorder({
      ingest: ${JSON.stringify(directly(session, gateway))},
      tracks: { webcam: { stream: new MediaStream([far.received[0], sound]) }, screen: { stream: new MediaStream([far.received[1]]) } },
    })
    const seen = { reports: [], ended: [], errors: [] }
    recorder.on('report', ({ event, track }) => seen.reports.push(track + ' ' + event))
    recorder.on('track-ended', ({ track }) => seen.ended.push(track))
    recorder.on('error', ({ message }) => seen.errors.push(message))
    const chunksOf = (track) => recorder.progress[track]?.recorded.chunks ?? 0
    const grows = async (track) => { const chunks = chunksOf(track); await until(() => chunksOf(track) >= chunks + 2) }
    const parts = (count) => until(() => made >= count)
    await grows('webcam')
    await grows('screen')

    await far.mute(0)
    await parts(3)
    // Nothing came as long as the muted camera was waited for.
    await grows('webcam')
    await far.unmute(0)
    await parts(4)
    await grows('webcam')

    far.close()
    await parts(5)
    await until(() => seen.ended.includes('screen'))
    await grows('webcam')
    const canvas = painted(320, 240)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    await recorder.addTrack('screen', { stream: canvas.captureStream(15) })
    await recorder.replaceStream('webcam', { stream: camera })
    await grows('webcam')
    await grows('screen')

    recorder.pause()
    await new Promise((resolve) => setTimeout(resolve, 2500))
    recorder.resume()
    await grows('webcam')
    Object.assign(canvas, { width: 640, height: 480 })
    await parts(10)
    await grows('screen')
    await recorder.stop()
    return seen
  })()`)
  assert.deepEqual(seen.errors, [])
  assert.deepEqual(seen.ended.toSorted(), ['screen', 'screen', 'webcam'])
  assert.deepEqual(seen.reports.filter((report) => !report.startsWith('undefined')).toSorted(), [
    'screen device-lost', 'screen paused', 'screen resumed', 'screen source-changed',
    'webcam device-lost', 'webcam muted', 'webcam paused', 'webcam resumed', 'webcam unmuted',
  ])
  const status = await judge(t, system, session.id, recorder)
  assert.equal(status.status, 'complete')
  const { webcam, screen } = status.tracks
  assert.ok(webcam !== undefined && screen !== undefined)
  for (const { parts } of [webcam, screen]) assert.ok(parts.every(({ closed, clean, stored, chunks }) => closed && clean && stored === chunks))
  // With the camera, without it while it is muted, with it again, without it when it is gone, with another one, after the pause.
  assert.equal(webcam.parts.length, 6)
  assert.equal(screen.parts.length, 4)
  const causes = (track: typeof webcam): string[] => track.parts.flatMap(({ gaps }) => gaps.map(({ kind, cause }) => `${kind} ${cause}`))
  assert.deepEqual(causes(screen), ['not-recorded device-lost', 'not-recorded paused'])
  assert.ok(causes(webcam).includes('not-recorded paused'))
  t.diagnostic(`webcam: ${webcam.files.length} files, gaps ${causes(webcam).join(', ')}`)
  await page.close()
}

async function survivesStall({ t, system, browser, gateway }: Places): Promise<void> {
  const session = await createSession(system)
  const page = await openLibrary(system, browser)
  const recorder = new Eavesdropper(page)
  const seen = await page.evaluate<{ reports: string[]; reportedAfterMs: number; still: string; failed: string }>(`(async () => {
    ${TOOLS}
    const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 240 })
    let moves = true
    let hue = 0
    setInterval(() => { if (!moves) return; const paint = canvas.getContext('2d'); paint.fillStyle = 'hsl(' + (hue += 7) + ' 60% 50%)'; paint.fillRect(0, 0, 320, 240) }, 100)
    const picture = canvas.captureStream(10).getVideoTracks()[0]
    const context = new AudioContext()
    const tone = context.createOscillator()
    const out = context.createMediaStreamDestination()
    tone.connect(out)
    tone.start()
    const recorder = await startRecorder({ ingest: ${JSON.stringify(directly(session, gateway))}, tracks: { webcam: { stream: new MediaStream([picture, ...out.stream.getTracks()]) } } })
    const reports = []
    recorder.on('report', ({ event }) => reports.push(event))
    const chunks = () => recorder.progress.webcam?.recorded.chunks ?? 0
    const grows = async () => { const before = chunks(); await until(() => chunks() >= before + 4) }
    await grows()
    moves = false
    const stillSince = performance.now()
    await until(() => reports.includes('stalled'))
    const reportedAfterMs = performance.now() - stillSince
    await grows()
    // Three chunks of the part count as delivery; the end of the part before may have been among the four.
    const grownAt = performance.now()
    await until(() => recorder.situation.words === 'Recording' || performance.now() > grownAt + 10_000)
    const still = recorder.situation.words
    moves = true
    await until(() => reports.includes('recovered'))
    await grows()
    // A second track of which nothing ever comes: its sound does not run.
    const deaf = new AudioContext()
    await deaf.suspend()
    const failed = await recorder.addTrack('screen', { stream: deaf.createMediaStreamDestination().stream }).then(() => 'started', ({ code }) => code)
    await recorder.stop()
    return { reports: reports.filter((event) => event !== 'hidden' && event !== 'visible'), reportedAfterMs, still, failed }
  })()`)
  t.diagnostic(`a still picture was reported after ${Math.round(seen.reportedAfterMs)} ms`)
  assert.deepEqual(seen.reports, ['stalled', 'recovered'])
  assert.ok(seen.reportedAfterMs < 15_000, `${seen.reportedAfterMs} ms`)
  assert.deepEqual([seen.still, seen.failed], ['Recording', 'capture-failed'])
  const status = await judge(t, system, session.id, recorder)
  assert.equal(status.status, 'complete')
  assert.deepEqual(Object.keys(status.tracks), ['webcam'])
  const { parts, files } = status.tracks['webcam']!
  assert.equal(parts.length, 3)
  t.diagnostic(JSON.stringify({ files: files.map(({ mimeType, durationMs }) => ({ mimeType, durationMs })), gaps: parts.map(({ gaps }) => gaps) }))
  await page.close()
}

async function saysHowItStands({ t, system, browser, line }: Places & { line: TcpLine }): Promise<void> {
  const page = await browser.newPage()
  await page.goto(`${system.queryUrl}/record#key=${system.apiKey}`)
  await page.uncheck('#screen')
  await page.waitForSelector('#checks [data-point=devices]')
  await page.click('#check')
  await page.waitForSelector('#checks [data-point=uplink]')
  const verdicts = await page.evaluate<Record<string, string>>("Object.fromEntries([...document.querySelectorAll('#checks li')].map(({ dataset }) => [dataset.point, dataset.verdict]))")
  assert.deepEqual(verdicts, { devices: 'ok', permissions: 'ok', storage: 'ok', uplink: 'ok', clock: 'ok' })
  t.diagnostic((await page.textContent('#checks [data-point=uplink]')) ?? '')

  await page.evaluate(`(() => {
    const state = document.querySelector('#state')
    window.said = []
    new MutationObserver(() => { if (window.said.at(-1) !== state.textContent) window.said.push(state.textContent) }).observe(state, { childList: true, attributes: true })
  })()`)
  await page.click('#start')
  await page.waitForSelector('#state[data-situation=recording][data-connection=connected]')
  await untilCells(page, 'acknowledged', 2)
  line.cut()
  await page.waitForSelector('#state[data-situation=offline]')
  // What waits for less than a quarter of a minute is sent before anyone could read that.
  await untilCells(page, 'waiting', 16)
  line.mend()
  await page.waitForSelector('#state[data-situation=recording][data-connection=connected]', { timeout: 60_000 })
  await page.click('#stop')
  await page.waitForSelector('#state[data-situation=safe]')
  const said = await page.evaluate<string[]>('window.said')
  const kinds = said.map((words) => words.replace(/\d+ %/, 'n %'))
  for (const words of [
    'Recording',
    'Recording · no connection, but safe (less than a minute kept on this computer)',
    'Recording · catching up (n %)',
    'All safe: you may close this page',
  ]) assert.ok(kinds.includes(words), `never said "${words}", but ${said.join(' | ')}`)
  const session = (await page.getAttribute('#state', 'data-session')) ?? ''
  assert.equal((await untilStatus(system, session, finalized)).status, 'complete')
  await page.close()
}

async function lowersBitrate({ t, system, browser, gateway }: Places): Promise<void> {
  await using thin = await TcpLine.to(gateway)
  const session = await createSession(system)
  const page = await openLibrary(system, browser)
  const recorder = new Eavesdropper(page)

  thin.narrow(125_000)
  const { uplink } = await page.evaluate<{ uplink: { bitsPerSecond: number; roundTripMs: number } }>(`(async () => {
    ${TOOLS}
    return (await preflight({ ingest: ${JSON.stringify(directly(session, thin.port))}, tracks: { webcam: { source: 'camera' } } })).facts
  })()`)
  t.diagnostic(`preflight on a line of 1 Mbit/s: ${uplink.bitsPerSecond} bit/s, ${uplink.roundTripMs} ms`)
  assert.ok(uplink.bitsPerSecond > 500_000 && uplink.bitsPerSecond < 2_000_000, `${uplink.bitsPerSecond} bit/s measured`)
  const { status, tracks } = await untilStatus(system, session.id, ({ status: name }) => name === 'waiting')
  assert.deepEqual([status, tracks], ['waiting', {}])

  thin.narrow(15_000)
  await page.evaluate(`(async () => {
    ${TOOLS}
    // Noise, which cannot be compressed to less than the recorder may take.
    const canvas = Object.assign(document.createElement('canvas'), { width: 160, height: 120 })
    setInterval(() => canvas.getContext('2d').putImageData(new ImageData(Uint8ClampedArray.from({ length: 76800 }, () => Math.random() * 256), 160, 120), 0, 0), 60)
    const stream = canvas.captureStream(15)
    window.recorder = await startRecorder({ ingest: ${JSON.stringify(directly(session, thin.port))}, tracks: { webcam: { stream, videoBitsPerSecond: 1000000 } } })
    window.reports = []
    window.recorder.on('report', ({ event, detail }) => window.reports.push(event + ': ' + detail))
  })()`)
  await untilPage(page, "window.reports.some((report) => report.startsWith('bitrate-lowered'))", 90_000)
  thin.mend()
  assert.deepEqual(await page.evaluate("window.reports.filter((report) => report.startsWith('bitrate'))"), ['bitrate-lowered: pictures get 70 % of their intended bits'])
  await page.evaluate('window.recorder.stop()')
  const ended = await judge(t, system, session.id, recorder)
  assert.equal(ended.status, 'complete')
  assert.equal(ended.tracks['webcam']?.parts.length, 2)
  await page.close()
}

/**
 * A page of the same origin as the library's bundle. It stands for an integrator's own, so our pages' Content Security Policy, which
 * permits connections to the public gateway only, does not apply.
 */
async function openLibrary(system: System, browser: Browser): Promise<Page> {
  const page = await browser.newPage({ bypassCSP: true })
  await page.goto(`${system.queryUrl}/record`)
  return page
}

/** The same session at another port. */
function directly({ id, ingest }: CreateSessionResponse, port: number): CreateSessionResponse['ingest'] {
  return { ...ingest, url: `ws://127.0.0.1:${port}/v1/ingest/${id}` }
}
