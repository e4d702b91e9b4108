import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PublicSession } from '@longtake/contracts'
import { assertContent, checkSession, describeSummary, downloadSession, readRecordedPart } from '@longtake/testkit'
import type { Browser, Page } from 'playwright-core'
import { launchChromium } from '../e2e/chromium.ts'
import { Eavesdropper } from '../e2e/eavesdropper.ts'
import { probe } from '../e2e/ffprobe.ts'
import type { System } from '../local/system.ts'
import { untilPage } from '../e2e/until-page.ts'
import { disposableSystem, finalized, untilStatus } from './sessions.ts'

const TRACKS = ['screen', 'webcam'] as const

test('a real browser records webcam, microphone and screen; both play while recording and, complete, after', async (t) => {
  await using system = await disposableSystem()
  const browser = await launchChromium()
  t.after(() => browser.close())
  const page = await browser.newPage()
  const recorder = new Eavesdropper(page)
  const problems = listenForProblems(page)

  await page.goto(`${system.queryUrl}/record#key=${system.apiKey}`)
  await page.click('#start')
  await page.waitForSelector('#state[data-state=recording]')
  const session = (await page.getAttribute('#state', 'data-session')) ?? ''
  const token = new URL((await page.getAttribute('#watch', 'href')) ?? '').hash.slice('#token='.length)
  const trackUrl = (track: string): string => `${system.queryUrl}/v1/sessions/${session}/tracks/${track}?token=${token}`

  await recordedFor(page, '0:12')
  for (const track of TRACKS) {
    const live = await probe(trackUrl(track))
    assert.deepEqual(live.warnings, [], `${track} while it records`)
    assert.ok(live.durationMs >= 5000, `${track} has ${live.durationMs} ms after 12 s`)
    t.diagnostic(`${track} at 12 s: ${Math.round(live.durationMs)} ms playable`)
  }

  await recordedFor(page, '0:25')
  await page.click('#stop')
  await page.waitForSelector('#state[data-state=stopped]')
  const stopped = performance.now()
  const status = await untilStatus(system, session, ({ status }) => status !== 'recording' && status !== 'interrupted')
  t.diagnostic(`complete ${Math.round(performance.now() - stopped)} ms after stop() had resolved`)
  assert.equal(status.status, 'complete')
  await untilStatus(system, session, finalized)

  const verdict = checkSession({ session, finished: true, parts: recorder.parts, ...(await downloadSession(system.queryUrl, session, token)) })
  assertContent(verdict.findings)
  t.diagnostic(describeSummary(verdict.summary))
  assert.deepEqual(problems, [])

  for (const track of TRACKS) {
    const recordedMs = durationOf(recorder, track)
    const { durationMs, warnings } = await probe(trackUrl(track))
    assert.deepEqual(warnings, [], track)
    assert.ok(Math.abs(durationMs - recordedMs) < 300, `${track}: ${durationMs} ms of ${recordedMs} recorded`)
    const seek = await seekInChromium(browser, system, trackUrl(track))
    t.diagnostic(`${track}: ${Math.round(durationMs)} ms; Chromium sought to 80 % in ${seek.ms} ms by ${seek.requests} range requests`)
    assert.ok(Math.abs(seek.duration * 1000 - recordedMs) < 300, `${track}: Chromium says ${seek.duration} s`)
    assert.ok(seek.requests <= 3, `${track}: ${seek.requests} range requests for one seek`)
  }
  await postersShow(system, session)
  await docsShow(browser, system)
})

/** Without a violation of its own Content Security Policy. */
async function docsShow(browser: Browser, system: System): Promise<void> {
  const page = await browser.newPage()
  const problems = listenForProblems(page)
  await page.goto(`${system.queryUrl}/docs`)
  await page.waitForSelector('.opblock')
  assert.deepEqual(problems, [])
  await page.close()
}

/** Waits until the page's own clock shows that the recording has lasted so long. */
async function recordedFor(page: Page, clock: string): Promise<void> {
  await untilPage(page, `document.querySelector('#elapsed').textContent >= ${JSON.stringify(clock)}`)
}

function listenForProblems(page: Page): string[] {
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text())
  })
  return problems
}

/** By the recorder's own bytes: from time 0 of the part to the end of its last frame, its length being that of the one before. */
function durationOf(recorder: Eavesdropper, track: string): number {
  const ledger = recorder.parts.find((part) => part.track === track)
  assert.ok(ledger !== undefined)
  const times = readRecordedPart(ledger.acknowledged).frames.map(({ timeMs }) => timeMs)
  return Math.max(...times) + 33
}

/** Opens the track as any page would, and seeks; counts the requests that the seek took. */
async function seekInChromium(browser: Browser, system: System, url: string): Promise<{ duration: number; requests: number; ms: number }> {
  const page = await browser.newPage()
  let requests = 0
  page.on('request', (request) => {
    if (request.url() === url) requests += 1
  })
  await page.goto(`${system.queryUrl}/healthz`)
  const duration = await page.evaluate<number>(loadScript(url))
  const requestsToLoad = requests
  const ms = await page.evaluate<number>(SEEK)
  const requestsToSeek = requests - requestsToLoad
  await page.close()
  return { duration, requests: requestsToSeek, ms }
}

// These run in the page, hence as text: this project's types are those of Node.
const loadScript = (url: string): string => `new Promise((resolve, reject) => {
  const video = document.createElement('video')
  video.preload = 'metadata'
  video.muted = true
  document.body.append(video)
  video.addEventListener('loadedmetadata', () => resolve(video.duration), { once: true })
  video.addEventListener('error', () => reject(new Error(video.error.message)), { once: true })
  video.src = ${JSON.stringify(url)}
})`
const SEEK = `new Promise((resolve, reject) => {
  const video = document.querySelector('video')
  const began = performance.now()
  video.addEventListener('seeked', () => resolve(Math.round(performance.now() - began)), { once: true })
  video.addEventListener('error', () => reject(new Error(video.error.message)), { once: true })
  video.currentTime = video.duration * 0.8
})`

async function postersShow(system: System, session: string): Promise<void> {
  const posters = ({ tracks }: PublicSession): boolean => TRACKS.every((track) => tracks[track]?.renditions.some(({ kind, url }) => kind === 'poster' && url !== null))
  const { tracks } = await untilStatus(system, session, posters)
  assert.ok(Object.values(tracks).every(({ renditions }) => renditions.every(({ reason }) => reason === null)))
  for (const track of TRACKS) {
    const response = await fetch(`${system.queryUrl}/v1/sessions/${session}/tracks/${track}/poster`, { headers: { authorization: `Bearer ${system.apiKey}` } })
    assert.equal(response.headers.get('content-type'), 'image/jpeg')
    const bytes = new Uint8Array(await response.arrayBuffer())
    assert.deepEqual(Array.from(bytes.subarray(0, 3)), [0xff, 0xd8, 0xff])
  }
}
