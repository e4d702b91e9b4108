import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { launchChromium } from '../e2e/chromium.ts'

test('the Chromium found here records a camera with sound and its own tab', async (t) => {
  const server = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>page</title><p>moving'))
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  t.after(() => server.close())
  const browser = await launchChromium()
  t.after(() => browser.close())
  const page = await browser.newPage()
  // A loopback address counts as a secure context, which cameras need.
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  assert.ok(await page.locator('p').evaluate(({ offsetHeight }) => offsetHeight > 0), 'there is a font: text has a height')
  const recorded = await page.evaluate(RECORD)
  assert.deepEqual(recorded, {
    webcam: { tracks: ['audio', 'video'], magic: '1a45dfa3' },
    screen: { tracks: ['video'], magic: '1a45dfa3' },
  })
})

// Runs in the page, hence as text: this project's types are those of Node.
const RECORD = `(async () => {
  const record = async (stream) => {
    const recorder = new MediaRecorder(stream, { mimeType: 'video/webm;codecs=vp9,opus' })
    const chunks = []
    const enough = new Promise((resolve) => {
      recorder.ondataavailable = ({ data }) => {
        chunks.push(data)
        if (chunks.length === 3) resolve()
      }
    })
    recorder.start(300)
    await enough
    stream.getTracks().forEach((track) => track.stop())
    const head = new Uint8Array(await new Blob(chunks).slice(0, 4).arrayBuffer())
    return {
      tracks: stream.getTracks().map(({ kind }) => kind).sort(),
      magic: [...head].map((byte) => byte.toString(16).padStart(2, '0')).join(''),
    }
  }
  // A picture that never changes gives no chunks.
  setInterval(() => { document.body.textContent = String(performance.now()) }, 50)
  const webcam = await record(await navigator.mediaDevices.getUserMedia({ video: true, audio: true }))
  const screen = await record(await navigator.mediaDevices.getDisplayMedia({ video: true, preferCurrentTab: true }))
  return { webcam, screen }
})()`
