import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { renderLogLine, renderRepetition } from '../local/log-lines.ts'

const at = new Date(2026, 0, 2, 3, 4, 5)
const render = (text: string): string => stripVTControlCharacters(renderLogLine('gateway', text, at))

test('a JSON line becomes time, service, level, message and what else it says', () => {
  const record = {
    level: 'info',
    time: at.toISOString(),
    service: 'gateway',
    instance: 'gateway',
    message: 'client connected',
    session: 's-1',
    bytes: 12,
    parts: { webcam: 2 },
  }
  assert.equal(render(JSON.stringify(record)), '03:04:05 gateway      info  client connected session=s-1 bytes=12 parts={"webcam":2}')
})

test("an error's stack follows, indented", () => {
  const record = { level: 'error', message: 'failed', error: { type: 'Error', message: 'why', stack: 'Error: why\n    at here' } }
  assert.equal(render(JSON.stringify(record)), '03:04:05 gateway      error failed\n    Error: why\n        at here')
})

test('a warning has its error without a stack, in one line', () => {
  const error = { type: 'BlobError', code: 'BLOB_UNAVAILABLE', message: 'connect ECONNREFUSED' }
  assert.equal(render(JSON.stringify({ level: 'warn', message: 'failed', error })), '03:04:05 gateway      warn  failed\n    BlobError BLOB_UNAVAILABLE: connect ECONNREFUSED')
})

test('repetitions are one line with their count', () => {
  const text = JSON.stringify({ level: 'warn', message: 'commit failed, retrying', session: 's-1', error: { message: 'why' } })
  const line = renderRepetition({ service: 'gateway', text, count: 312, windowMs: 10_020 }, at)
  assert.equal(stripVTControlCharacters(line), '03:04:05 gateway      warn  commit failed, retrying (repeated 312 times in the last 10 s)')
})

test('what is no JSON is shown as it is', () => {
  assert.equal(render('Segmentation fault'), '03:04:05 gateway            Segmentation fault')
  assert.equal(render('{ broken'), '03:04:05 gateway            { broken')
})
