import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PublicSession } from '@longtake/contracts'
import { type Browser, playableTrack } from '../pages/mp4-rendition.ts'

type Track = PublicSession['tracks'][string]
type Rendition = Track['renditions'][number]

const base = 'https://recordings.example.org/v1/sessions/s1/tracks/webcam'
const trackOf = (mimeType: string, renditions: Rendition[] = []): Track => ({
  url: `${base}?v=1`,
  files: [
    { url: `${base}?v=1`, mimeType, bytes: 1, durationMs: 1, startOffsetMs: 0 },
    { url: `${base}?file=2&v=1`, mimeType, bytes: 1, durationMs: 1, startOffsetMs: 0 },
  ],
  durationMs: 2,
  bytes: 2,
  startOffsetMs: 0,
  timeline: [],
  parts: [],
  renditions,
})
const rendition = (fields: Partial<Rendition>): Rendition => ({
  kind: 'mp4',
  version: 1,
  url: null,
  reason: null,
  ...fields,
})

const everything = (): boolean => true
const chrome: Browser = {
  userAgent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36',
  canPlay: everything,
}
const headlessChrome: Browser = {
  userAgent:
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/147.0.0.0 Safari/537.36',
  canPlay: everything,
}
const firefox: Browser = {
  userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0',
  canPlay: (type) => type !== 'video/x-matroska',
}
const safari: Browser = {
  userAgent:
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15',
  canPlay: everything,
}
const iphoneChrome: Browser = {
  userAgent:
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/150.0 Mobile/15E148 Safari/604.1',
  canPlay: everything,
}

test('a browser that plays what was recorded gets just that', () => {
  const track = trackOf('video/webm', [rendition({ url: `${base}/mp4` })])
  for (const browser of [chrome, headlessChrome, firefox])
    assert.deepEqual(playableTrack(track, browser), { track, missing: [], isPending: false })
  const mp4 = trackOf('video/mp4')
  assert.deepEqual(playableTrack(mp4, safari), { track: mp4, missing: [], isPending: false })
})

test('Safari and what cannot play the type ask for the MP4 of each file, and play the recording until it is there', () => {
  for (const [browser, type] of [
    [safari, 'video/webm'],
    [iphoneChrome, 'audio/webm'],
    [firefox, 'video/x-matroska'],
  ] as const) {
    const track = trackOf(type)
    assert.deepEqual(playableTrack(track, browser), {
      track,
      missing: [`${base}/mp4`, `${base}/mp4?file=2`],
      isPending: true,
    })
  }
})

test('a pending MP4 is not asked for again, and one that is there is played, the newest first', () => {
  const renditions = [
    rendition({}),
    rendition({ url: `${base}/mp4?file=2` }),
    rendition({ file: 2, version: 2, reason: 'no' }),
  ]
  const { track, missing, isPending } = playableTrack(trackOf('video/webm', renditions), safari)
  assert.deepEqual([missing, isPending], [[], true])
  assert.deepEqual(
    track.files.map(({ url, mimeType }) => [url, mimeType]),
    [
      [`${base}?v=1`, 'video/webm'],
      [`${base}/mp4?file=2`, 'video/mp4'],
    ],
  )
})

test('where an MP4 could not be made, the recording is played and nothing is awaited', () => {
  const track = trackOf('video/webm', [rendition({ reason: 'no' }), rendition({ file: 2, reason: 'no' })])
  assert.deepEqual(playableTrack(track, safari), { track, missing: [], isPending: false })
})
