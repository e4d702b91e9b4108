import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KafkaError } from '@longtake/kafka'
import { sessionState, testApp, webcamFile } from './fakes.ts'

const body = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251))
const recordings = {
  properties: async () => ({ bytes: body.length, generation: 1, commit: 4, headerBytes: 70_000, lastModified: new Date('2026-03-01T10:00:09Z') }),
  readPiece: async (_blob: string, offset: number, count: number) => ({
    bytes: (async function* () {
      yield body.subarray(offset, offset + count)
    })(),
    version: { generation: 1, commit: 4 },
  }),
}
const recorded = () => sessionState('s1', { status: 'recording', startedAt: '2026-03-01T10:00:00Z', tracks: { webcam: { files: [webcamFile] } } })

test('creating a session answers once its status exists, with tokens for recording and watching', async () => {
  const { app, announced, admin } = await testApp({ fold: (event) => sessionState(event.session) })
  const created = await app.inject({ method: 'POST', url: '/v1/sessions', headers: admin, payload: { id: 's1', metadata: { exam: 'B2' } } })
  assert.equal(created.statusCode, 201)
  assert.equal(created.headers.location, '/v1/sessions/s1')
  assert.deepEqual(announced, [{ type: 'session-created', session: 's1', at: '2026-03-01T10:00:00.000Z', metadata: { exam: 'B2' } }])
  const { id, ingest, watch } = created.json()
  assert.equal(id, 's1')
  assert.equal(ingest.url, 'wss://ingest.example.org/v1/ingest/s1')
  const status = await app.inject({ url: '/v1/sessions/s1', headers: { authorization: `Bearer ${watch.token}` } })
  assert.equal(status.statusCode, 200)
  assert.equal(status.json().status, 'waiting')
  const again = await app.inject({ method: 'POST', url: '/v1/sessions', headers: admin, payload: { id: 's1', abandonedAfterMs: 600_000 } })
  assert.equal(again.statusCode, 200)
  assert.equal(announced.length, 1)
  assert.match(ingest.spoolKey, /^[A-Za-z0-9_-]{43}$/)
  assert.equal(again.json().ingest.spoolKey, ingest.spoolKey)
})

test('while Kafka takes nothing, creating says that asking again helps; a refusal for good is our own fault', async () => {
  for (const [code, status, told] of [['KAFKA_DELIVERY_TIMEOUT', 503, 'UNAVAILABLE'], ['KAFKA_REFUSED', 500, 'INTERNAL']] as const) {
    const { app, admin } = await testApp({
      fold: () => {
        throw new KafkaError(code, 'with 10.0.0.7 in it')
      },
    })
    const response = await app.inject({ method: 'POST', url: '/v1/sessions', headers: admin, payload: {} })
    assert.deepEqual([response.statusCode, response.json().code, response.headers['retry-after']], [status, told, status === 503 ? '2' : undefined])
    assert.doesNotMatch(response.body, /10\.0\.0\.7/)
  }
})

test('a session may be told how long it waits for a client that went away, within bounds', async () => {
  const { app, announced, admin } = await testApp({ fold: (event) => sessionState(event.session, 'graces' in event && event.graces !== undefined ? { graces: event.graces } : {}) })
  const create = (payload: object) => app.inject({ method: 'POST', url: '/v1/sessions', headers: admin, payload })
  assert.equal((await create({ id: 's1', abandonedAfterMs: 600_000 })).statusCode, 201)
  assert.deepEqual(announced, [{ type: 'session-created', session: 's1', at: '2026-03-01T10:00:00.000Z', metadata: {}, graces: { abandonedAfterMs: 600_000 } }])
  const status = (await app.inject({ url: '/v1/sessions/s1', headers: admin })).json()
  assert.deepEqual([status.interruptedAfterMs, status.abandonedAfterMs], [120_000, 600_000])
  for (const wrong of [{ abandonedAfterMs: 60_000 }, { interruptedAfterMs: 999 }, { interruptedAfterMs: 1.5e3 + 0.5 }, { abandonedAfterMs: 31 * 86_400_000 }, { interruptedAfterMs: 2 * 86_400_000 }]) {
    const refused = await create({ id: 's2', ...wrong })
    assert.deepEqual([refused.statusCode, refused.json().code], [400, 'INVALID_REQUEST'], JSON.stringify(wrong))
  }
})

test('administration needs the key, watching a watch token of that very session', async () => {
  const { app, put, sign } = await testApp({ recordings })
  put(recorded())
  const cases = [
    [await app.inject({ method: 'POST', url: '/v1/sessions', payload: {} }), 401, 'UNAUTHORIZED'],
    [await app.inject({ method: 'POST', url: '/v1/sessions', headers: { authorization: 'Bearer wrong-key-wrong-key' }, payload: {} }), 401, 'UNAUTHORIZED'],
    [await app.inject({ url: '/v1/sessions/s1/tracks/webcam' }), 401, 'UNAUTHORIZED'],
    [await app.inject({ url: `/v1/sessions/s1/tracks/webcam?token=${await sign('s2', 'watch')}` }), 403, 'FORBIDDEN'],
    [await app.inject({ url: `/v1/sessions/s1/tracks/webcam?token=${await sign('s1', 'ingest')}` }), 403, 'FORBIDDEN'],
    [await app.inject({ url: `/v1/sessions/s1/tracks/webcam?token=${await sign('s1', 'watch', -1000)}` }), 401, 'UNAUTHORIZED'],
    [await app.inject({ method: 'DELETE', url: '/v1/sessions/s1', headers: { authorization: `Bearer ${await sign('s1', 'watch')}` } }), 401, 'UNAUTHORIZED'],
  ] as const
  for (const [response, status, code] of cases) {
    assert.equal(response.statusCode, status)
    assert.match(response.headers['content-type'] ?? '', /^application\/problem\+json/)
    assert.equal(response.json().code, code)
  }
  const reasons = cases.slice(2, 6).map(([response]) => response.json().detail.split('; ')[1])
  assert.deepEqual(reasons, ['none came', "this one is another session's", 'this one is not for watching', 'this one has expired'])
  assert.equal((await app.inject({ url: `/v1/sessions/s1/tracks/webcam?token=${await sign('s1', 'watch')}` })).statusCode, 200)
})

test('a track is served whole, in part, by its head, and not behind its end', async () => {
  const { app, put, sign } = await testApp({ recordings })
  put(recorded())
  const url = `/v1/sessions/s1/tracks/webcam?token=${await sign('s1', 'watch')}`
  const whole = await app.inject({ url })
  assert.equal(whole.statusCode, 200)
  assert.equal(whole.headers['accept-ranges'], 'bytes')
  assert.ok(whole.rawPayload.equals(body))
  const part = await app.inject({ url, headers: { range: 'bytes=70000-70009' } })
  assert.equal(part.statusCode, 206)
  assert.equal(part.headers['content-range'], 'bytes 70000-70009/100000')
  assert.equal(part.headers['content-length'], '10')
  assert.ok(part.rawPayload.equals(body.subarray(70_000, 70_010)))
  const suffix = await app.inject({ url, headers: { range: 'bytes=-5' } })
  assert.equal(suffix.headers['content-range'], 'bytes 99995-99999/100000')
  const behind = await app.inject({ url, headers: { range: 'bytes=100000-' } })
  assert.equal(behind.statusCode, 416)
  assert.equal(behind.headers['content-range'], 'bytes */100000')
  const head = await app.inject({ method: 'HEAD', url, headers: { range: 'bytes=0-99' } })
  assert.equal(head.statusCode, 206)
  assert.equal(head.headers['content-length'], '100')
  assert.equal(head.rawPayload.length, 0)
  const stale = await app.inject({ url, headers: { range: 'bytes=0-99', 'if-range': '"g1-c3"' } })
  assert.equal(stale.statusCode, 200)
  const inHeader = await app.inject({ url, headers: { range: 'bytes=69999-70009', 'if-range': '"g1-c3"' } })
  assert.equal(inHeader.statusCode, 200, 'the header may be larger than usual')
  const behindHeader = await app.inject({ url, headers: { range: 'bytes=70000-70009', 'if-range': '"g1-c3"' } })
  assert.equal(behindHeader.statusCode, 206)
  const fresh = await app.inject({ url, headers: { 'if-none-match': whole.headers.etag as string } })
  assert.equal(fresh.statusCode, 304)
})

test('what is not there is said, by one documented code each', async () => {
  const { app, put, admin } = await testApp()
  put(recorded())
  put(sessionState('gone', { status: 'deleted', tracks: { webcam: { files: [webcamFile] } } }))
  const expectations: [string, number, string][] = [
    ['/v1/sessions/none', 404, 'SESSION_NOT_FOUND'],
    ['/v1/sessions/s1/tracks/screen', 404, 'TRACK_NOT_FOUND'],
    ['/v1/sessions/s1/tracks/webcam', 404, 'TRACK_NOT_FOUND'],
    ['/v1/sessions/s1/manifest', 404, 'MANIFEST_NOT_FOUND'],
    ['/v1/sessions/s1/tracks/webcam/poster', 404, 'RENDITION_NOT_FOUND'],
    ['/v1/sessions/gone/tracks/webcam', 410, 'SESSION_DELETED'],
    ['/v1/sessions/a%2Fb', 400, 'INVALID_REQUEST'],
    ['/nowhere', 404, 'NOT_FOUND'],
  ]
  for (const [url, status, code] of expectations) {
    const response = await app.inject({ url, headers: admin })
    assert.deepEqual([response.statusCode, response.json().code], [status, code], url)
  }
})

test('finish and delete are declared in the chunk stream, deletion first there', async () => {
  const { app, put, admin, announced } = await testApp({ fold: (event) => (event.type === 'session-deleted' ? sessionState('s1', { status: 'deleted', eventsOffset: '2' }) : undefined) })
  put(recorded())
  assert.equal((await app.inject({ method: 'POST', url: '/v1/sessions/s1/finish', headers: admin })).statusCode, 202)
  assert.equal((await app.inject({ method: 'DELETE', url: '/v1/sessions/s1', headers: admin })).statusCode, 204)
  assert.equal((await app.inject({ method: 'DELETE', url: '/v1/sessions/s1', headers: admin })).statusCode, 204)
  assert.deepEqual(
    announced.map(({ type }) => type),
    ['session-finished', 'session-deleted', 'session-deleted'],
  )
})

test('the OpenAPI document names every address of the interface', async () => {
  const { app } = await testApp()
  const { paths } = (await app.inject({ url: '/docs/json' })).json()
  assert.deepEqual(Object.keys(paths).sort(), [
    '/v1/sessions',
    '/v1/sessions/{id}',
    '/v1/sessions/{id}/finish',
    '/v1/sessions/{id}/manifest',
    '/v1/sessions/{id}/tracks/{track}',
    '/v1/sessions/{id}/tracks/{track}/mp4',
    '/v1/sessions/{id}/tracks/{track}/poster',
  ])
})

test('a track that no session has is not found, whatever it is called', async () => {
  const { app, put, admin } = await testApp({ recordings })
  put(recorded())
  for (const track of ['screen', 'constructor']) {
    for (const rest of ['', '/poster', '/mp4']) {
      const response = await app.inject({ url: `/v1/sessions/s1/tracks/${track}${rest}`, headers: admin })
      assert.equal(response.statusCode, 404, `${track}${rest}`)
    }
  }
})
