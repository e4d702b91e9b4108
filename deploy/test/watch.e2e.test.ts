import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordingPage } from '../e2e/browser-engine.ts'
import { CHROMIUM } from '../e2e/chromium.ts'
import { FIREFOX } from '../e2e/firefox.ts'
import { untilPage } from '../e2e/until-page.ts'
import { systemOverLine } from './record-page.ts'

for (const engine of [CHROMIUM, FIREFOX]) test(`who watches a recording in ${engine.name} sees it grow, keeps the place sought, and may go live again`, { skip: engine.missing }, async (t) => {
  await using scene = await systemOverLine(engine)
  const { system, tap } = scene
  const browser = await engine.launch(tap)
  t.after(() => browser.close())
  const context = await browser.newContext()
  const recording = await context.newPage()
  await recording.goto(`${system.queryUrl}/record#key=${system.apiKey}`)
  await recording.click('#screen')
  await recording.click('#webcam')
  assert.ok(await recording.evaluate("document.querySelector('#start').disabled"), 'nothing is chosen')
  await recording.click('#webcam')
  await recording.click('#start')
  await recording.waitForSelector('#state[data-state=recording]')
  const link = await recording.evaluate<string>("document.querySelector('#watch').href")

  const watching = await context.newPage()
  await watching.goto(link)
  await untilVideo(watching, 'video.duration > 0 && !video.paused')
  const first = await watching.evaluate<number>("document.querySelector('video').duration")
  await untilVideo(watching, `video.currentTime > ${first} && !video.paused`)
  assert.equal(await watching.getAttribute('button.live', 'aria-pressed'), 'true')

  await watching.evaluate("(() => { const video = document.querySelector('video'); video.pause(); video.currentTime = 1 })()")
  await watching.waitForSelector('button.live[aria-pressed=false]')
  const second = await watching.evaluate<number>("document.querySelector('video').duration")
  await untilVideo(watching, `video.duration > ${second} && video.paused && Math.abs(video.currentTime - 1) < 0.1`)

  await watching.click('button.live')
  await watching.waitForSelector('button.live[aria-pressed=true]')
  await untilVideo(watching, 'video.currentTime > 1.5 && !video.paused')

  await recording.click('#stop')
  await watching.waitForSelector('#state.ok', { timeout: 60_000 })
  await untilPage(watching, "!document.querySelector('button.live').checkVisibility()")
  await context.close()
})

/** `holds` speaks of the `<video>` that is shown; it runs in the page, hence text. */
async function untilVideo(page: RecordingPage, holds: string): Promise<void> {
  await untilPage(page, `(() => { const video = document.querySelector('video'); return video !== null && ${holds} })()`)
}
