import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { shareEntireScreen, surfaceOf, watchSurface } from '../src/screen/index.ts'
import { FakeSource } from './media-fakes.ts'

let asked: DisplayMediaStreamOptions[]
let shown: FakeSource
beforeEach(() => {
  asked = []
  Object.defineProperty(navigator, 'mediaDevices', {
    configurable: true,
    value: { getDisplayMedia: (options: DisplayMediaStreamOptions) => (asked.push(options), Promise.resolve(streamOf(shown))) },
  })
})
afterEach(() => Object.defineProperty(navigator, 'mediaDevices', { configurable: true, value: undefined }))

const streamOf = (source: FakeSource): MediaStream => ({ getTracks: () => [source], getVideoTracks: () => [source] }) as unknown as MediaStream
const showing = (displaySurface?: string): FakeSource => new FakeSource('video', { width: 1920, height: 1080, ...(displaySurface === undefined ? {} : { displaySurface }) })

test('an entire screen is asked for first, and is what it was asked for', async () => {
  shown = showing('monitor')
  const stream = await shareEntireScreen({ audio: true })
  assert.equal(surfaceOf(stream), 'monitor')
  assert.deepEqual(asked.map(({ video, audio }) => ({ video, audio })), [{ video: { displaySurface: 'monitor' }, audio: true }])
  assert.equal(shown.readyState, 'live')
})

for (const surface of ['window', 'browser']) {
  test(`a ${surface} is refused by a typed error, and no longer shared`, async () => {
    shown = showing(surface)
    await assert.rejects(shareEntireScreen(), { name: 'ScreenShareError', code: 'wrong-surface', surface })
    assert.equal(shown.readyState, 'ended')
  })
}

test('where the browser does not say what is shared, the caller decides', async () => {
  shown = showing()
  await assert.rejects(shareEntireScreen(), { code: 'unknown-surface' })
  shown = showing()
  assert.equal(surfaceOf(await shareEntireScreen({ acceptUnknown: true })), 'unknown')
  shown = showing('window')
  await assert.rejects(shareEntireScreen({ acceptUnknown: true }), { code: 'wrong-surface' })
})

test('a browser that shares no screens, as on iOS, is named', async () => {
  Object.defineProperty(navigator, 'mediaDevices', { configurable: true, value: {} })
  await assert.rejects(shareEntireScreen(), { name: 'NotSupportedError' })
})

test('what is shared instead, later, is told once', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const seen: string[] = []
  const source = showing('monitor')
  const end = watchSurface(streamOf(source), (surface) => seen.push(surface))
  t.mock.timers.tick(3000)
  source.settings = { displaySurface: 'window' }
  t.mock.timers.tick(3000)
  assert.deepEqual(seen, ['window'])
  end()
  source.settings = { displaySurface: 'monitor' }
  t.mock.timers.tick(3000)
  assert.deepEqual(seen, ['window'])
})
