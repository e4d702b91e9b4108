import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { launchChromium } from '../e2e/chromium.ts'
import { untilPage } from '../e2e/until-page.ts'
import { WebSocketBlocker } from '../e2e/web-socket-blocker.ts'
import { freePort } from '../local/ports.ts'
import type { System } from '../local/system.ts'
import { judge, startRecording, stopRecording, untilCells } from './record-page.ts'
import { createSession, disposableSystem, RECORDING_SERVICES } from './sessions.ts'

interface Scene {
  system: System
  browser: Browser
  proxy: WebSocketBlocker
}

test('a browser whose WebSockets are blocked', async (t) => {
  const gateway = await freePort()
  await using proxy = await WebSocketBlocker.to(gateway)
  const env = { LONGTAKE_GATEWAY_PUBLIC_URL: `ws://127.0.0.1:${proxy.port}` }
  await using system = await disposableSystem({ services: RECORDING_SERVICES, ports: { gateway }, env })
  const browser = await launchChromium()
  t.after(() => browser.close())
  const scene = { system, browser, proxy }

  await t.test('is found out before the start', () => preflightFindsIt(scene))
  await t.test('records over HTTP polling, and goes on when the gateway is killed', (step) =>
    recordsByPolling(step, scene),
  )
  await t.test('uploads by polling what a page has left', (step) => recoversByPolling(step, scene))
  await t.test('changes to polling when sockets are cut, and back when they are not', (step) =>
    changesTransport(step, scene),
  )
})

async function preflightFindsIt({ system, browser, proxy }: Scene): Promise<void> {
  proxy.policy = 'refuse'
  const { ingest } = await createSession(system)
  const page = await browser.newPage()
  await page.goto(`${system.queryUrl}/record`)
  const { facts, points } = await page.evaluate<{
    facts: { uplink: object }
    points: { point: string; verdict: string }[]
  }>(`(async () => {
    const { preflight } = await import('/pages/recorder/index.js')
    return preflight({ ingest: ${JSON.stringify(ingest)}, tracks: { webcam: { source: 'camera' } } })
  })()`)
  assert.partialDeepStrictEqual(facts.uplink, {
    transport: 'polling',
    webSocketFailed: 'the connection was closed with 1006',
  })
  assert.equal(points.find(({ point }) => point === 'transport')?.verdict, 'warn')
  assert.equal(points.find(({ point }) => point === 'uplink')?.verdict, 'ok')
  await page.close()
}

async function recordsByPolling(t: TestContext, { system, browser, proxy }: Scene): Promise<void> {
  proxy.policy = 'refuse'
  const { page, recorder, session } = await startRecording(system, browser)
  recorder.listenTo(proxy)
  await untilTransport(page, 'polling')
  await untilCells(page, 'acknowledged', 3)

  system.processes.kill('gateway')
  await page.waitForSelector('#state:not([data-connection=connected])')
  await system.processes.restart('gateway')
  await untilCaughtUp(page)
  await untilTransport(page, 'polling')

  await stopRecording(page)
  assert.equal((await judge(t, system, session, recorder)).status, 'complete')
  await page.close()
}

async function recoversByPolling(t: TestContext, { system, browser, proxy }: Scene): Promise<void> {
  proxy.policy = 'refuse'
  const context = await browser.newContext()
  const { page, recorder, session } = await startRecording(system, context)
  recorder.listenTo(proxy)
  await untilTransport(page, 'polling')
  await untilCells(page, 'acknowledged', 2)
  proxy.cut()
  await untilCells(page, 'waiting', 3)
  await page.reload()
  proxy.mend()
  const upgrades = proxy.upgrades
  await page.click('#continue')
  await page.waitForSelector('#recovery[data-state=uploaded]', { timeout: 60_000 })
  await untilTransport(page, 'polling')
  await untilCells(page, 'acknowledged', 2)
  await stopRecording(page)
  assert.ok(proxy.upgrades >= upgrades + 4, 'the recovery and the recorder tried WebSockets, twice each')
  // How far the first parts would have gone on, nobody knows.
  assert.equal((await judge(t, system, session, recorder)).status, 'complete-with-gaps')
  await context.close()
}

async function changesTransport(t: TestContext, { system, browser, proxy }: Scene): Promise<void> {
  proxy.policy = 'cut'
  const { page, recorder, session } = await startRecording(system, browser)
  recorder.listenTo(proxy)
  await untilTransport(page, 'polling')
  await untilCells(page, 'acknowledged', 2)
  proxy.policy = 'pass'
  await untilTransport(page, 'websocket')
  await untilCaughtUp(page)
  await stopRecording(page)
  assert.equal((await judge(t, system, session, recorder)).status, 'complete')
  await page.close()
}

async function untilTransport(page: Page, transport: 'websocket' | 'polling'): Promise<void> {
  await page.waitForSelector(`#state[data-transport=${transport}]`, { timeout: 60_000 })
}

async function untilCaughtUp(page: Page): Promise<void> {
  await page.waitForSelector('#state[data-connection=connected]', { timeout: 60_000 })
  await untilPage(
    page,
    "[...document.querySelectorAll('[data-cell=waiting]')].every((cell) => cell.dataset.chunks === '0')",
  )
}
