import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { encodeEvent, encodeStatus, ManifestShape, MAX_MESSAGE_BYTES, PublicSession, shape } from '@longtake/contracts'
import { type Seal, toManifest, toPublicSession } from '../src/index.ts'
import { at, committed, connected, created, finished, live, part, partA, partB, session, whole } from './facts.ts'

const urls = {
  file: (id: string, track: string, file: number, generation: number) => `/${id}/${track}/${file}?v=${generation}`,
  rendition: (id: string, track: string, kind: string, file: number) => `/${id}/${track}/${kind}${file === 0 ? '' : `/${file}`}`,
}
const Public = shape('public session', PublicSession)
const partC = '00000000-0000-4000-8000-00000000000c'

const { state } = live([
  created({ exam: 'B2' }),
  connected(1),
  committed(1, [whole(5), part({ part: partB, startedAt: at(60), startMs: 60_000, endMs: 65_000, stored: [[0, 1], [3, 3]], closed: { chunks: 4, clean: true }, lost: [{ from: 2, to: 2, cause: 'quota' }] })], { durationMs: 65_000, generation: 2 }),
  committed(1, [whole(2, { part: partC, startedAt: at(100), startMs: 0, endMs: 2000 })], { file: 1, durationMs: 2000, startedAt: at(100), bytes: 50 }),
  committed(1, [part({ part: partC, startMs: null, endMs: null, startedAt: at(3), closed: { chunks: 0, clean: true } })], { track: 'screen', bytes: 0, durationMs: 0, startedAt: null }),
  finished({ webcam: [partA, partB, partC], screen: [partC] }, '9', 120),
  { type: 'rendition-ready', session, at: at(130), version: 1, track: 'webcam', kind: 'poster', blob: 'p', mimeType: 'image/jpeg', bytes: 9 },
  { type: 'rendition-failed', session, at: at(130), version: 1, track: 'webcam', kind: 'mp4', reason: 'no moov' },
  { type: 'rendition-ready', session, at: at(131), version: 1, track: 'webcam', kind: 'mp4', file: 1, blob: 'm', mimeType: 'video/mp4', bytes: 9 },
])

test('a session is shown with its files, its timeline and the gaps of each part', () => {
  const shown = toPublicSession(state, urls)
  assert.deepEqual(Public.faults(shown), [])
  assert.equal(shown.status, 'complete-with-gaps')
  assert.equal(shown.startedAt, at(0))
  assert.equal(shown.endedAt, at(120))
  const webcam = shown.tracks.webcam!
  assert.equal(webcam.url, '/exam-17/webcam/0?v=2')
  assert.deepEqual(webcam.files.map(({ url, startOffsetMs }) => [url, startOffsetMs]), [['/exam-17/webcam/0?v=2', 0], ['/exam-17/webcam/1?v=0', 100_000]])
  assert.equal(webcam.durationMs, 67_000)
  assert.equal(webcam.bytes, 100_050)
  assert.deepEqual(webcam.timeline, [{ mediaMs: 0, offsetMs: 0 }, { mediaMs: 60_000, offsetMs: 60_000 }, { mediaMs: 65_000, offsetMs: 100_000 }])
  assert.deepEqual(webcam.parts.map(({ part: id, chunks, stored, closed }) => [id, chunks, stored, closed]), [[partA, 5, 5, true], [partB, 4, 3, true], [partC, 2, 2, true]])
  assert.deepEqual(webcam.parts[1]!.gaps.map(({ kind, from, to, cause }) => [kind, from, to, cause]), [['lost', 2, 2, 'quota'], ['not-recorded', 0, 0, 'between-parts']])
  assert.deepEqual(webcam.renditions, [
    { kind: 'mp4', version: 1, url: null, reason: 'no moov' },
    { kind: 'mp4', version: 1, url: '/exam-17/webcam/mp4/1', reason: null },
    { kind: 'poster', version: 1, url: '/exam-17/webcam/poster', reason: null },
  ])
})

test('a track of which nothing can be played has no address, and a part that only finish names is shown as open', () => {
  const shown = toPublicSession(live([committed(1, [whole(5)]), finished({ room: [partB] })]).state, urls)
  assert.deepEqual(toPublicSession(state, urls).tracks.screen!.url, null)
  assert.deepEqual(shown.tracks.room!.parts, [{ part: partB, startedAt: null, chunks: null, stored: 0, closed: false, clean: false, rejected: null, gaps: [] }])
  assert.deepEqual(Public.faults(shown), [])
})

test('the gap before a part of another file lies before that file begins', () => {
  const gap = state.gaps.find(({ part: id, track }) => id === partC && track === 'webcam')!
  assert.deepEqual([gap.kind, gap.startMs, gap.endMs], ['not-recorded', -35_000, 0])
})

test('the manifest names the seal of every file that holds something, and accounts for every part', () => {
  const seals = new Map<string, Seal>([0, 1].map((file) => [`${session}/webcam/${file}`, { snapshot: `s${file}`, etag: `e${file}` }]))
  const manifest = toManifest(state, seals, Date.parse(at(200)))
  assert.deepEqual(ManifestShape.faults(manifest), [])
  assert.deepEqual(manifest.tracks.webcam!.files.map(({ blob, snapshot, startOffsetMs, parts }) => [blob, snapshot, startOffsetMs, parts]), [
    [`${session}/webcam/0`, 's0', 0, [partA, partB]],
    [`${session}/webcam/1`, 's1', 100_000, [partC]],
  ])
  assert.deepEqual(manifest.tracks.webcam!.parts.map(({ part: id, chunks }) => [id, chunks]), [[partA, 5], [partB, 3], [partC, 2]])
  assert.deepEqual(manifest.tracks.screen!.files, [])
  assert.deepEqual(manifest.gaps, state.gaps)
  assert.throws(() => toManifest(state, new Map(), 0), TypeError)
})

test('a part that goes on in a later file counts once, and both files are shown to hold it at their times', () => {
  const seen = live([
    created(),
    connected(1),
    committed(1, [part({ stored: [[0, 4]], endMs: 5000 }), whole(2, { part: partB, startedAt: at(20), startMs: 20_000, endMs: 22_000 })], { durationMs: 22_000 }),
    committed(1, [whole(20, { startMs: 10, endMs: 15_000 })], { file: 1, startedAt: at(5), durationMs: 15_000, bytes: 50 }),
    finished({ webcam: [partA, partB] }, '9', 120),
  ]).state
  const shown = toPublicSession(seen, urls)
  assert.equal(shown.status, 'complete')
  const webcam = shown.tracks.webcam!
  assert.deepEqual(webcam.parts.map(({ part: id, chunks, stored, gaps }) => [id, chunks, stored, gaps]), [[partB, 2, 2, []], [partA, 20, 20, []]])
  assert.deepEqual(webcam.timeline, [{ mediaMs: 0, offsetMs: 0 }, { mediaMs: 20_000, offsetMs: 20_000 }, { mediaMs: 22_010, offsetMs: 5_010 }])
  const seals = new Map<string, Seal>([0, 1].map((file) => [`${session}/webcam/${file}`, { snapshot: `s${file}`, etag: `e${file}` }]))
  const manifest = toManifest(seen, seals, Date.parse(at(200)))
  assert.deepEqual(manifest.tracks.webcam!.files.map(({ parts }) => parts), [[partB, partA], [partA]])
  assert.deepEqual(manifest.tracks.webcam!.parts.map(({ part: id, chunks }) => [id, chunks]), [[partB, 2], [partA, 20]])
})

test('the rules know no clock and no chance: time comes as an argument', () => {
  const folder = new URL('../src/', import.meta.url)
  for (const file of readdirSync(folder)) {
    assert.doesNotMatch(readFileSync(new URL(file, folder), 'utf8'), /Date\.now|new Date\(\)|Math\.random|performance\./, file)
  }
})

test('3,000 parts of one session, with a pause before each, can be told of in one record', () => {
  const startMs = (i: number): number => i * 20_000
  const parts = Array.from({ length: 3000 }, (_, i) => whole(15, { part: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`, mimeType: 'video/webm;codecs=vp9,opus', startedAt: at(startMs(i) / 1000), startMs: startMs(i), endMs: startMs(i) + 15_000.5, bytes: 750_000 }))
  const event = committed(1, parts, { durationMs: startMs(3000) })
  const { state } = live([created(), connected(1), event, finished({ webcam: parts.map((part) => part.part) })])
  const room = MAX_MESSAGE_BYTES - 64 * 1024
  assert.equal(state.gaps.length, 2999)
  assert.ok(encodeStatus(state).value.length < room, `a state of ${encodeStatus(state).value.length} bytes`)
  assert.ok(encodeEvent(event).value.length < room / 1.9, 'twice as many in one event')
})
