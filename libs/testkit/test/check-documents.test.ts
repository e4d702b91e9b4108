import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { assertContent, checkManifest, checkSession, checkStatus, concat, downloadSession, loadRecording, type TrackFiles } from '../src/index.ts'
import { at, ledger, P1, P3, rightSession, type Told } from './right-session.ts'

const webcam = <T>(of: { tracks: Record<string, T> }): T => of.tracks['webcam'] as T
const firstOf = <T>(items: readonly T[]): T => items[0] as T
const all = ({ truth, status, manifest, files }: Told) => checkSession({ ...truth, status, manifest, files })

test('a right session leaves the checker content, with and without its manifest', () => {
  const told = rightSession()
  const { findings, summary } = all(told)
  assertContent(findings)
  const made = told.truth.parts.reduce((sum, one) => sum + one.made.size, 0)
  assert.deepEqual(summary, { frames: 750, acknowledgedChunks: made, lostChunks: 0, duplicatedChunks: 0, undeclaredHoles: 0 })
  assertContent(checkSession({ ...told.truth, status: told.status, files: told.files }).findings)
})

test('a file that lies beside another one in time, as of two recorders, is no fault of the timeline', () => {
  const told = rightSession()
  webcam(told.status).timeline = [{ mediaMs: 0, offsetMs: 9_000 }, { mediaMs: 5_000, offsetMs: 8_000 }]
  assertContent(all(told).findings)
})

test('a part of which there is no whole frame may be in no file', () => {
  const told = rightSession()
  const header = (loadRecording('firefox-webcam-vp8').chunks[0] ?? new Uint8Array(0)).subarray(0, 392)
  const headerOnly = ledger(P3, [header], 4_000)
  headerOnly.closed = { chunks: 1, clean: false }
  told.truth.parts.push(headerOnly)
  const facts = { part: P3, startedAt: at(4_000) }
  webcam(told.status).parts.push({ ...facts, chunks: 1, stored: 1, closed: true, clean: false, rejected: null, gaps: [] })
  webcam(told.manifest).parts.push({ ...facts, mimeType: 'video/webm', chunks: 1, bytes: header.length, stored: [[0, 0]], closed: { chunks: 1, clean: false } })
  told.status.status = 'complete-with-gaps'
  told.manifest.status = 'complete-with-gaps'
  assertContent(all(told).findings)
})

const gap = (from: number, to: number) => ({ from, to, startMs: null, endMs: null, kind: 'lost' as const, state: 'confirmed' as const, cause: 'crash' })

/** What is bent → what `checkStatus` and `checkManifest` must find together, exactly. */
const bent: Record<string, [(told: Told) => void, string[]]> = {
  'a status that counts one chunk too few': [({ status }) => void (firstOf(webcam(status).parts).stored -= 1), ['stored-count']],
  'a status that counts one chunk too many': [({ status }) => void (firstOf(webcam(status).parts).stored += 1), ['stored-count']],
  'a status with another declared length': [({ status }) => void (firstOf(webcam(status).parts).chunks = 3), ['declared-length']],
  'a status that leaves a part open': [({ status }) => void Object.assign(firstOf(webcam(status).parts), { closed: false, chunks: null }), ['declared-length']],
  'a status without a part': [({ status }) => void webcam(status).parts.pop(), ['part-missing']],
  'a status with an invented part': [({ status }) => void webcam(status).parts.push({ ...firstOf(webcam(status).parts), part: '0' }), ['part-unknown']],
  'a status with a part twice': [({ status }) => void webcam(status).parts.push(firstOf(webcam(status).parts)), ['document']],
  'a status with a gap over data': [({ status }) => void (firstOf(webcam(status).parts).gaps = [gap(2, 3)]), ['gap-over-data', 'session-status']],
  'a status that tells wrong bytes': [({ status }) => void (firstOf(webcam(status).files).bytes += 1), ['document', 'file-facts']],
  'a status that tells a wrong duration': [({ status }) => void (firstOf(webcam(status).files).durationMs += 50), ['file-facts']],
  'a status that tells a wrong type': [({ status }) => void (firstOf(webcam(status).files).mimeType = 'video/mp4'), ['file-facts']],
  'a status without one file': [({ status }) => void (webcam(status).bytes -= webcam(status).files.pop()?.bytes ?? 0), ['file-facts']],
  'a status of another session': [({ status }) => void (status.id = 's2'), ['document']],
  'a status finalized ahead of its version': [({ status }) => void (status.finalizedVersion = 2), ['document']],
  'a timeline that stands still within a file': [({ status }) => void webcam(status).timeline.splice(1, 0, { mediaMs: 2_000, offsetMs: 0 }), ['document']],
  'a timeline that goes back': [({ status }) => void (webcam(status).timeline = webcam(status).timeline.toReversed()), ['document']],
  'a whole session that is not told as complete': [({ status }) => void (status.status = 'complete-with-gaps'), ['session-status']],
  'complete, while the session goes on': [({ truth }) => void (truth.finished = false), ['session-status']],
  'complete, with a part that was not closed cleanly': [({ truth, status, manifest }) => {
    firstOf(truth.parts).closed = { chunks: firstOf(truth.parts).made.size, clean: false }
    firstOf(webcam(status).parts).clean = false
    firstOf(webcam(manifest).parts).closed = { chunks: firstOf(truth.parts).made.size, clean: false }
  }, ['session-status']],
  'complete, with a chunk that never came': [({ truth, status, manifest }) => {
    const { made, acknowledged } = firstOf(truth.parts)
    made.delete(2)
    acknowledged.delete(2)
    firstOf(webcam(status).parts).stored -= 1
    Object.assign(firstOf(webcam(manifest).parts), { stored: [[0, 1], [3, made.size]], chunks: made.size, bytes: concat(made.values()).length })
  }, ['gap-undeclared', 'session-status']],
  'a manifest whose ranges lack a chunk': [({ manifest }) => {
    const told = firstOf(webcam(manifest).parts)
    Object.assign(told, { stored: [[0, told.chunks - 2]], chunks: told.chunks - 1 })
  }, ['stored-count', 'stored-ranges']],
  'a manifest whose ranges have a chunk that was never made': [({ manifest }) => {
    const told = firstOf(webcam(manifest).parts)
    Object.assign(told, { stored: [[0, told.chunks]], chunks: told.chunks + 1 })
  }, ['stored-count', 'stored-ranges']],
  'a manifest whose ranges overlap': [({ manifest }) => void (firstOf(webcam(manifest).parts).stored = [[0, 3], [3, firstOf(webcam(manifest).parts).chunks - 1]]), ['document']],
  'a manifest that counts otherwise than its ranges': [({ manifest }) => void (firstOf(webcam(manifest).parts).chunks = 2), ['document', 'stored-count']],
  'a manifest with wrong bytes of a part': [({ manifest }) => void (firstOf(webcam(manifest).parts).bytes -= 1), ['stored-bytes']],
  'a manifest with a part in no file': [({ manifest }) => void (firstOf(webcam(manifest).files).parts = []), ['document']],
  'a manifest that seals nothing': [({ manifest }) => void (firstOf(webcam(manifest).files).snapshot = ''), ['document']],
  'a manifest of another session': [({ manifest }) => void (manifest.session = 's2'), ['document']],
  'a manifest without a track': [({ manifest }) => void delete manifest.tracks['screen'], ['part-missing']],
  'a manifest with a gap over data': [({ manifest }) => void manifest.gaps.push({ ...gap(1, 1), track: 'webcam', part: P1, since: at(0) }), ['gap-over-data', 'session-status']],
}

for (const [what, [bend, expected]] of Object.entries(bent)) {
  test(`found: ${what}`, () => {
    const told = rightSession()
    bend(told)
    const findings = [...checkStatus(told.status, told.truth, told.files), ...checkManifest(told.manifest, told.truth, told.files)]
    assert.deepEqual([...new Set(findings.map(({ code }) => code))].toSorted(), expected, JSON.stringify(findings, null, 1))
  })
}

test('chunks that were sent and not acknowledged may be counted or not', () => {
  const told = rightSession()
  firstOf(told.truth.parts).acknowledged.delete(4)
  assertContent(all(told).findings)
  firstOf(webcam(told.status).parts).stored -= 1
  assertContent(checkStatus(told.status, told.truth))
})

test('found in the whole session: files in the wrong place, and a track that is not there', () => {
  const swapped = rightSession()
  swapped.files['webcam']?.reverse()
  const { findings } = checkSession({ ...swapped.truth, status: swapped.status, manifest: swapped.manifest, files: swapped.files })
  assert.ok(findings.some(({ code }) => code === 'tail-missing') && findings.some(({ code }) => code === 'frame-unknown'))
  const gone = rightSession()
  delete gone.files['screen']
  assert.deepEqual(all(gone).findings.map(({ code }) => code), ['verbatim-bytes'])
})

test('what a session shows is fetched, and a refusal is told', async () => {
  const { status, manifest, files } = rightSession()
  const answers: Record<string, string | Uint8Array> = { '/v1/sessions/s1': JSON.stringify(status), '/v1/sessions/s1/manifest': JSON.stringify(manifest) }
  for (const [track, list] of Object.entries(files as TrackFiles)) for (const [index, bytes] of list.entries()) answers[`/${track}/${index}`] = bytes
  const server = createServer((request, response) => {
    const answer = request.headers.authorization === 'Bearer key' ? answers[request.url ?? ''] : undefined
    response.writeHead(answer === undefined ? 404 : 200).end(answer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    assert.deepEqual(await downloadSession(url, 's1', 'key'), { status, manifest, files })
    await assert.rejects(downloadSession(url, 's2', 'key'), /GET \/v1\/sessions\/s2 answered 404/)
  } finally {
    server.close()
  }
})
