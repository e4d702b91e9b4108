import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CreateSessionResponse } from '@longtake/contracts'
import type { RecordingBrowser, RecordingPage } from '../e2e/browser-engine.ts'
import { CHROMIUM } from '../e2e/chromium.ts'
import { untilPage } from '../e2e/until-page.ts'
import type { System } from '../local/system.ts'
import { systemOverLine } from './record-page.ts'
import { createSession, finalized, untilStatus } from './sessions.ts'

test(`two recorders of one session in ${CHROMIUM.name}`, { skip: CHROMIUM.missing }, async (t) => {
  await using scene = await systemOverLine()
  const browser = await CHROMIUM.launch(scene.tap)
  t.after(() => browser.close())
  const places = { system: scene.system, browser }
  await t.test('stop() of one leaves the session open while the other is between two parts', () => stopsEach(places))
  await t.test('finish() of one ends it for both; the other may go on and reopens it', () => finishesForAll(places))
  await t.test('who leaves is not waited for', () => leaves(places))
})

interface Places {
  system: System
  browser: RecordingBrowser
}

/** Records one track in a context of its own, as another device does: they share no store and no locks. */
async function record({ system, browser }: Places, { ingest }: CreateSessionResponse, track: string): Promise<RecordingPage> {
  const page = await (await browser.newContext()).newPage()
  await page.goto(`${system.queryUrl}/record`)
  await page.evaluate(`(async () => {
    const { startRecorder } = await import('/pages/recorder/longtake-recorder.min.js')
    window.stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: true })
    window.recorder = await startRecorder({ ingest: ${JSON.stringify(ingest)}, tracks: { ${track}: { stream: window.stream } } })
  })()`)
  await untilPage(page, `window.recorder.progress.${track}?.acknowledged.chunks >= 2`)
  return page
}

async function begin(places: Places): Promise<{ session: CreateSessionResponse; laptop: RecordingPage; phone: RecordingPage }> {
  const session = await createSession(places.system)
  return { session, laptop: await record(places, session, 'webcam'), phone: await record(places, session, 'room') }
}

/** Until each track's last part is closed and stored, so that only what clients say keeps the session open. */
const untilClosed = ({ system }: Places, { id }: CreateSessionResponse, parts: number) =>
  untilStatus(system, id, ({ tracks }) => {
    const all = Object.values(tracks).flatMap((track) => track.parts)
    return all.length === parts && all.every(({ closed, chunks, stored }) => closed && stored === chunks)
  })

async function stopsEach(places: Places): Promise<void> {
  const { session, laptop, phone } = await begin(places)
  await laptop.evaluate('window.recorder.stop()')
  await phone.evaluate("window.recorder.stopTrack('room')")
  const between = await untilClosed(places, session, 2)
  assert.deepEqual([between.status, between.version], ['recording', 0])
  await phone.evaluate("window.recorder.addTrack('room', { stream: window.stream })")
  await untilStatus(places.system, session.id, ({ tracks }) => tracks['room']?.parts.length === 2)
  await phone.evaluate('window.recorder.stop()')
  const ended = await untilStatus(places.system, session.id, finalized)
  assert.deepEqual([ended.status, ended.version, ended.tracks['room']?.parts.length], ['complete', 1, 2])
  await Promise.all([laptop.close(), phone.close()])
}

async function finishesForAll(places: Places): Promise<void> {
  const { session, laptop, phone } = await begin(places)
  await phone.evaluate("window.recorder.stopTrack('room')")
  await laptop.evaluate('window.recorder.finish()')
  const ended = await untilStatus(places.system, session.id, finalized)
  assert.deepEqual([ended.status, ended.version], ['complete', 1])
  await phone.evaluate("window.recorder.addTrack('room', { stream: window.stream })")
  await untilStatus(places.system, session.id, ({ status }) => status === 'recording')
  await phone.evaluate('window.recorder.stop()')
  const again = await untilStatus(places.system, session.id, (status) => status.version === 2 && finalized(status))
  assert.equal(again.status, 'complete')
  await Promise.all([laptop.close(), phone.close()])
}

async function leaves(places: Places): Promise<void> {
  const { session, laptop, phone } = await begin(places)
  await phone.evaluate('window.recorder.leave()')
  await laptop.evaluate('window.recorder.stop()')
  const ended = await untilStatus(places.system, session.id, finalized)
  assert.deepEqual([ended.status, Object.keys(ended.tracks).toSorted()], ['complete', ['room', 'webcam']])
  await Promise.all([laptop.close(), phone.close()])
}
