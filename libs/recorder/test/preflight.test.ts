import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PreflightFacts, PreflightPoint, UplinkFacts } from '../src/api.ts'
import { judgePreflight } from '../src/preflight/preflight-judgement.ts'
import { bitsPerSecondOf, roundTripOf } from '../src/upload/uplink-rate.ts'

const LINE: UplinkFacts = { roundTripMs: 20, bitsPerSecond: 20_000_000, clockDifferenceMs: 300, transport: 'websocket' }
const FINE: PreflightFacts = {
  secureContext: true,
  mediaRecorder: true,
  store: true,
  storeFault: null,
  storageLasts: 'unknown',
  mimeTypes: { webcam: 'video/webm;codecs=vp9,opus', screen: 'video/webm;codecs=vp9' },
  wants: { camera: true, microphone: true },
  devices: { cameras: 1, microphones: 2 },
  permissions: { camera: 'granted', microphone: 'prompt' },
  availableBytes: 3_600_000_000,
  bitsPerSecond: 2_000_000,
  surfaces: { screen: 'monitor' },
  uplink: LINE,
}

const said = (facts: Partial<PreflightFacts>, point: PreflightPoint['point']): string => {
  const found = judgePreflight({ ...FINE, ...facts }).points.find((each) => each.point === point)
  return found === undefined ? 'nothing' : `${found.verdict}: ${found.words}`
}

describe('before the start', () => {
  it('all is well', () => {
    const { verdict, points, facts } = judgePreflight(FINE)
    assert.equal(verdict, 'ok')
    assert.equal(facts, FINE)
    assert.deepEqual(points.map(({ words }) => words), [
      'This browser can record, and can keep what is recorded',
      'webcam: video/webm;codecs=vp9,opus, screen: video/webm;codecs=vp9',
      'A camera and microphone are there',
      'The browser is going to ask for the microphone',
      'This computer has space for at most 4 hours without a connection',
      'The whole screen is shared',
      'The line carries 20 Mbit/s; the recording takes 2.0',
      "This computer's clock is right",
    ])
  })

  const cases: [string, Partial<PreflightFacts>, PreflightPoint['point'], string][] = [
    ['http', { secureContext: false }, 'browser', 'fail: This page was not opened by https: the browser does not let it record'],
    ['an old browser', { mediaRecorder: false }, 'browser', 'fail: This browser cannot record: use a current Chrome, Edge, Firefox or Safari'],
    ['a private window', { store: false }, 'browser', 'fail: This browser keeps nothing for this page: leave the private window, or allow site data'],
    ['a store that does not answer', { store: false, storeFault: 'silent' }, 'browser', "fail: This browser's storage does not answer: restart the browser"],
    ['a disk that is full', { store: false, storeFault: 'full' }, 'browser', 'fail: This computer has no space for the recording: free some'],
    ['a private window that stores for a while', { storageLasts: false }, 'storage', 'warn: This is a private window: what is not uploaded when it is closed is lost. Use an ordinary window'],
    ['a private window of a browser without an estimate', { storageLasts: false, availableBytes: null }, 'storage', 'warn: This is a private window: what is not uploaded when it is closed is lost. Use an ordinary window'],
    ['a private window without space', { storageLasts: false, availableBytes: 1000 }, 'storage', 'fail: This computer has no space for the recording: free some'],
    ['storage that lasts', { storageLasts: true }, 'storage', 'ok: This computer has space for at most 4 hours without a connection'],
    ['no format', { mimeTypes: { webcam: null } }, 'format', 'fail: This browser has no format for webcam'],
    ['no devices', { devices: { cameras: 0, microphones: 0 } }, 'devices', 'fail: There is no camera and no microphone: connect one'],
    ['the screen alone', { wants: { camera: false, microphone: false } }, 'devices', 'nothing'],
    ['a blocked camera', { permissions: { camera: 'denied', microphone: 'granted' } }, 'permissions', 'fail: The browser blocks the camera for this page: allow it at the address bar'],
    ['what may be used', { permissions: { camera: 'granted', microphone: 'granted' } }, 'permissions', 'ok: The camera and microphone may be used'],
    ['a browser that does not tell', { permissions: { camera: 'unknown', microphone: 'unknown' } }, 'permissions', 'ok: The browser is going to ask for the camera and microphone'],
    ['a full disk', { availableBytes: 1000 }, 'storage', 'fail: This computer has no space for the recording: free some'],
    ['little space', { availableBytes: 75_000_000 }, 'storage', 'warn: This computer has space for at most 5 minutes without a connection: free some'],
    ['a shared tab', { surfaces: { screen: 'browser' } }, 'screen', 'warn: One browser tab is shared, not the whole screen'],
    ['a shared window', { surfaces: { screen: 'window' } }, 'screen', 'warn: One window is shared, not the whole screen'],
    ['no screen', { surfaces: {} }, 'screen', 'nothing'],
    ['no server', { uplink: { failed: 'the connection was closed with 1006' } }, 'uplink', 'fail: The server cannot be reached (the connection was closed with 1006)'],
    ['a thin line', { uplink: { roundTripMs: 1, bitsPerSecond: 2_100_000, clockDifferenceMs: 0, transport: 'websocket' } }, 'uplink', 'warn: The line carries 2.1 Mbit/s; the recording takes 2.0: part of it will be sent late, or in lower quality'],
    ['hardly a line', { uplink: { roundTripMs: 1, bitsPerSecond: 300_000, clockDifferenceMs: 0, transport: 'websocket' } }, 'uplink', 'fail: The line carries 0.3 Mbit/s; the recording takes 2.0: find a better one'],
    ['a line that gave no answer', { uplink: { roundTripMs: 1, bitsPerSecond: null, clockDifferenceMs: 0, transport: 'websocket' } }, 'uplink', 'fail: The line is so slow that it could not be measured: find a better one'],
    ['blocked WebSockets', { uplink: { ...LINE, transport: 'polling', webSocketFailed: 'the connection was closed with 1006' } }, 'transport', 'warn: This network blocks WebSockets (the connection was closed with 1006): the recording is sent by HTTPS requests instead'],
    ['WebSockets that work', { uplink: LINE }, 'transport', 'nothing'],
    ['not asked about the line', { uplink: null }, 'uplink', 'nothing'],
    ['a wrong clock', { uplink: { roundTripMs: 1, bitsPerSecond: 20_000_000, clockDifferenceMs: -600_000, transport: 'websocket' } }, 'clock', "warn: This computer's clock is 10 min fast; the recording gets the server's time"],
  ]
  for (const [name, facts, point, words] of cases) it(`${name}: ${words}`, () => assert.equal(said(facts, point), words))

  it('the worst point decides', () => {
    assert.equal(judgePreflight({ ...FINE, surfaces: { screen: 'window' } }).verdict, 'warn')
    assert.equal(judgePreflight({ ...FINE, surfaces: { screen: 'window' }, store: false }).verdict, 'fail')
  })
})

describe('the line', () => {
  it('is as fast as what arrives between two answers, whatever the way back takes', () => {
    const pongs = [0, 1, 2, 3, 4].map((i) => ({ bytes: 125_000, sentAt: 0, pongAt: 700 + i * 1000 }))
    assert.equal(bitsPerSecondOf(pongs), 1_000_000)
    assert.equal(bitsPerSecondOf(pongs.slice(0, 1)), 1_428_571)
    assert.equal(bitsPerSecondOf([]), null)
  })
  it('is as quick as its quickest answer', () => assert.equal(roundTripOf([{ bytes: 0, sentAt: 0, pongAt: 80 }, { bytes: 0, sentAt: 80, pongAt: 100.4 }]), 20))
})
