import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger, redact } from '../src/index.ts'

function capture() {
  let written = ''
  const logger = createLogger({ service: 'demo', level: 'debug', destination: { write: (line) => (written += line) } })
  return { logger, line: () => JSON.parse(written) as Record<string, unknown>, text: () => written }
}

test('a line is one JSON object with level, time, service and what children add', () => {
  const { logger, line } = capture()
  logger.child({ session: 's-1' }).info({ chunks: 3 }, 'acknowledged')
  const { time, ...rest } = line()
  assert.match(String(time), /^\d{4}-.*Z$/)
  assert.deepEqual(rest, { level: 'info', service: 'demo', session: 's-1', chunks: 3, message: 'acknowledged' })
})

test('no secret survives, whatever it hides in', () => {
  const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzLTEifQ.c2lnbmF0dXJl'
  const secrets: [object, string][] = [
    [{ token: 'hush-1' }, ''],
    [{ request: { headers: { authorization: 'hush-2', cookie: 'hush-3', 'sec-websocket-protocol': 'hush-4' } } }, ''],
    [{ url: '/v1/sessions/s-1/tracks/webcam?v=2&token=hush-5&x=1' }, ''],
    [{}, `refused Authorization: Bearer hush-6`],
    [{ offered: `longtake.v1, bearer.${jwt}` }, ''],
    [{ error: new Error(`GET https://a.blob.core.windows.net/c/b?sv=1&sig=hush-7%3D failed`, { cause: new Error(`token ${jwt}`) }) }, ''],
    [{}, 'DefaultEndpointsProtocol=http;AccountName=a;AccountKey=hush-8==;BlobEndpoint=http://h'],
  ]
  for (const [fields, message] of secrets) {
    const { logger, line, text } = capture()
    logger.error(fields, message)
    assert.doesNotMatch(text(), /hush|c2lnbmF0dXJl/)
    assert.match(text(), /\[redacted\]/)
    assert.equal(line()['level'], 'error')
  }
})

test('a warning has what its error was but no stack, unless at debug; an error has both', () => {
  const error = Object.assign(new Error('try 3 failed', { cause: new TypeError('refused') }), { code: 'BLOB_UNAVAILABLE' })
  let written = ''
  const logger = createLogger({ service: 'demo', destination: { write: (line) => (written = line) } })
  const logged = (): unknown => (JSON.parse(written) as Record<string, unknown>)['error']
  logger.warn({ error, session: 's-1' }, 'commit failed, retrying')
  assert.deepEqual(logged(), { type: 'Error', code: 'BLOB_UNAVAILABLE', message: 'try 3 failed', cause: { type: 'TypeError', message: 'refused' } })
  assert.match(written, /"session":"s-1"/)
  logger.child({ track: 'webcam' }).warn({ error }, 'commit failed, retrying')
  assert.doesNotMatch(written, /logger\.test/)
  logger.error({ error }, 'commit failed')
  assert.match(written, /logger\.test/)
  const { logger: verbose, text } = capture()
  verbose.warn({ error }, 'commit failed, retrying')
  assert.match(text(), /logger\.test/)
})

test('redaction leaves ordinary text alone', () => {
  const ordinary = 'session s-1 track webcam part 7f0c…: 12 chunks, ?v=3, a token was refused, Bearer'
  assert.equal(redact(ordinary), ordinary)
})
