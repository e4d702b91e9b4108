import assert from 'node:assert/strict'
import { connect, type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { LongtakeError } from '@longtake/contracts'
import { KafkaError } from '@longtake/kafka'
import { NOW, sessionState, testApp, webcamFile } from './fakes.ts'

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
  assert.equal(head.statusCode, 200, 'Range is defined for GET alone')
  assert.equal(head.headers['content-length'], '100000')
  assert.equal(head.headers.etag, whole.headers.etag)
  assert.equal(head.rawPayload.length, 0)
  const fresh = await app.inject({ url, headers: { 'if-none-match': whole.headers.etag as string } })
  assert.equal(fresh.statusCode, 304)
})

test('If-Range of another commit, of a weak tag or of a date gets the whole, wherever the range lies', async () => {
  const { app, put, admin } = await testApp({ recordings })
  put(recorded())
  const url = '/v1/sessions/s1/tracks/webcam'
  const statusOf = async (ifRange: string): Promise<number> => (await app.inject({ url, headers: { ...admin, range: 'bytes=80000-80009', 'if-range': ifRange } })).statusCode
  assert.equal(await statusOf('"g1-c4"'), 206)
  for (const validator of ['"g1-c3"', 'W/"g1-c4"', 'Sun, 01 Mar 2026 10:00:09 GMT']) assert.equal(await statusOf(validator), 200, validator)
})

test('several ranges are answered as multipart/byteranges', async () => {
  const { app, put, admin } = await testApp({ recordings })
  put(recorded())
  const { statusCode, headers, rawPayload } = await app.inject({ url: '/v1/sessions/s1/tracks/webcam', headers: { ...admin, range: 'bytes=0-0,99998-' } })
  assert.equal(statusCode, 206)
  assert.equal(headers['content-range'], undefined)
  assert.equal(headers['content-length'], String(rawPayload.length))
  const boundary = /^multipart\/byteranges; boundary=(.+)$/.exec(String(headers['content-type']))?.[1]
  const part = (range: string, start: number, end: number): Buffer =>
    Buffer.concat([Buffer.from(`--${boundary}\r\nContent-Type: video/webm\r\nContent-Range: bytes ${range}/100000\r\n\r\n`), body.subarray(start, end), Buffer.from('\r\n')])
  assert.deepEqual(rawPayload, Buffer.concat([part('0-0', 0, 1), part('99998-99999', 99_998, 100_000), Buffer.from(`--${boundary}--\r\n`)]))
})

test('preconditions: 304 for a tag that the client has, 412 for one that it relied on', async () => {
  const { app, put, admin } = await testApp({ recordings })
  put(recorded())
  const ask = (headers: Record<string, string>) => app.inject({ url: '/v1/sessions/s1/tracks/webcam', headers: { ...admin, ...headers } })
  for (const ifNoneMatch of ['"g1-c4"', 'W/"g1-c4"', '*']) {
    const response = await ask({ 'if-none-match': ifNoneMatch })
    assert.deepEqual([response.statusCode, response.headers.etag, response.rawPayload.length], [304, '"g1-c4"', 0])
  }
  const failed = await ask({ 'if-match': '"g1-c3"' })
  assert.deepEqual([failed.statusCode, failed.json().code], [412, 'PRECONDITION_FAILED'])
})

test('a commit between looking and reading: tag, length and bytes of the answer are all of the newer one', async () => {
  let commit = 4
  const { app, put, admin } = await testApp({
    recordings: {
      properties: async () => ({ bytes: commit * 1000, generation: 1, commit, headerBytes: 100, lastModified: new Date('2026-03-01T10:00:09Z') }),
      readPiece: async (_blob, _offset, count) => {
        if (commit === 4) commit = 5
        const version = { generation: 1, commit }
        async function* bytes() {
          yield Buffer.alloc(count, version.commit)
        }
        return { bytes: bytes(), version }
      },
    },
  })
  put(recorded())
  const response = await app.inject({ url: '/v1/sessions/s1/tracks/webcam', headers: admin })
  assert.deepEqual([response.statusCode, response.headers.etag, response.headers['content-length']], [200, '"g1-c5"', '5000'])
  assert.deepEqual(response.rawPayload, Buffer.alloc(5000, 5))
})

test('renditions are served by range like tracks, and each version has a tag of its own', async () => {
  const { app, put, admin } = await testApp({ recordings })
  const rendition = (version: number, kind: 'poster' | 'mp4') => ({ track: 'webcam', kind, version, blob: `b${version}`, bytes: body.length, mimeType: kind === 'mp4' ? 'video/mp4' : 'image/jpeg', reason: null })
  const state = recorded()
  put({ ...state, renditions: [rendition(1, 'poster'), rendition(2, 'poster'), rendition(1, 'mp4')] })
  for (const [kind, etag, mimeType] of [['poster', '"v2"', 'image/jpeg'], ['mp4', '"v1"', 'video/mp4']] as const) {
    const response = await app.inject({ url: `/v1/sessions/s1/tracks/webcam/${kind}`, headers: { ...admin, range: 'bytes=0-1' } })
    assert.deepEqual([response.statusCode, response.headers.etag, response.headers['content-type'], response.headers['content-range']], [206, etag, mimeType, 'bytes 0-1/100000'], kind)
  }
})

test('every refusal is a problem document: bad addresses, methods and bodies as well', async () => {
  const { app, put, admin } = await testApp()
  put(recorded())
  const json = { ...admin, 'content-type': 'application/json' }
  const cases = [
    [await app.inject({ url: '/v1/sessions/%zz', headers: admin }), 400],
    [await app.inject({ url: `/v1/sessions/${'a'.repeat(300)}`, headers: admin }), 414],
    [await app.inject({ url: `/v1/sessions/${'a'.repeat(65)}`, headers: admin }), 400],
    [await app.inject({ method: 'PUT', url: '/v1/sessions/s1', headers: admin }), 405],
    [await app.inject({ method: 'DELETE', url: '/v1/sessions/s1', headers: json }), 400],
    [await app.inject({ method: 'POST', url: '/v1/sessions', headers: json, payload: '{"id"' }), 400],
    [await app.inject({ method: 'QUERY' as 'POST', url: '/v1/sessions', headers: admin }), 405],
    [await app.inject({ method: 'POST', url: '/v1/sessions', headers: json, payload: '{"id":5}' }), 400],
    [await app.inject({ method: 'POST', url: '/v1/sessions', headers: { ...admin, 'content-type': 'text/csv' }, payload: 'a' }), 415],
    [await app.inject({ method: 'POST', url: '/v1/sessions', headers: json, payload: JSON.stringify({ metadata: { a: 'x'.repeat(70_000) } }) }), 413],
  ] as const
  for (const [response, status] of cases) {
    assert.equal(response.statusCode, status, response.body)
    assert.match(String(response.headers['content-type']), /^application\/problem\+json/)
    assert.equal(response.json().status, status)
  }
  assert.equal(cases[3][0].headers.allow, 'DELETE, GET, HEAD')
})

test('what is no HTTP request gets a problem document, too', async () => {
  const { app } = await testApp()
  await app.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  socket.write('nonsense\r\n\r\n')
  const answer = await text(socket)
  await app.close()
  assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\nContent-Type: application\/problem\+json\r\n/)
  assert.equal(JSON.parse(answer.split('\r\n\r\n')[1]!).code, 'INVALID_REQUEST')
})

test('browsers: no framing and no other origin unless configured, no inline code, media embeddable anywhere', async () => {
  const closed = await testApp()
  const { headers } = await closed.app.inject({ url: '/healthz', headers: { origin: 'https://exams.example.org' } })
  assert.match(String(headers['content-security-policy']), /default-src 'self';.*connect-src 'self' wss:\/\/ingest\.example\.org;.*frame-ancestors 'none'/)
  assert.doesNotMatch(String(headers['content-security-policy']), /unsafe/)
  assert.deepEqual(
    [headers['x-frame-options'], headers['x-content-type-options'], headers['referrer-policy'], headers['cross-origin-resource-policy'], headers['access-control-allow-origin']],
    ['DENY', 'nosniff', 'no-referrer', 'cross-origin', undefined],
  )
  const origin = 'https://exams.example.org'
  const open = await testApp({ corsOrigins: [origin], frameAncestors: [origin] })
  const allowed = await open.app.inject({ url: '/healthz', headers: { origin } })
  assert.match(String(allowed.headers['content-security-policy']), /frame-ancestors https:\/\/exams\.example\.org/)
  assert.deepEqual([allowed.headers['x-frame-options'], allowed.headers['access-control-allow-origin']], [undefined, origin])
  assert.equal((await open.app.inject({ url: '/healthz', headers: { origin: 'https://evil.example' } })).headers['access-control-allow-origin'], undefined)
  const preflight = await open.app.inject({ method: 'OPTIONS', url: '/v1/sessions/s1', headers: { origin, 'access-control-request-method': 'DELETE', 'access-control-request-headers': 'authorization' } })
  assert.deepEqual([preflight.statusCode, preflight.headers['access-control-allow-headers']], [204, 'authorization'])
})

test('metrics and readiness are not on the public port', async () => {
  const { app } = await testApp()
  for (const url of ['/metrics', '/readyz']) assert.equal((await app.inject({ url })).statusCode, 404, url)
  assert.equal((await app.inject({ url: '/healthz' })).statusCode, 200)
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

test('an MP4 that was not made is requested once, and pending until it is there or failed', async () => {
  const { app, put, admin, announced } = await testApp()
  const file = { tracks: { webcam: { files: [webcamFile] } } }
  put(sessionState('s1', file))
  const ask = (query = '') => app.inject({ url: `/v1/sessions/s1/tracks/webcam/mp4${query}`, headers: admin })
  for (const _ of [1, 2]) {
    const { statusCode, headers, ...answer } = await ask()
    assert.deepEqual([statusCode, answer.json().code, headers['retry-after']], [404, 'RENDITION_PENDING', '10'])
  }
  assert.deepEqual(announced, [{ type: 'rendition-requested', session: 's1', at: new Date(NOW).toISOString(), track: 'webcam', kind: 'mp4' }])
  assert.equal((await ask('?file=7')).json().code, 'TRACK_NOT_FOUND')
  // Another instance, once the request is in the status.
  const other = await testApp()
  other.put(sessionState('s1', { ...file, requested: [{ track: 'webcam', kind: 'mp4', file: 0 }] }))
  assert.equal((await other.app.inject({ url: '/v1/sessions/s1/tracks/webcam/mp4', headers: other.admin })).json().code, 'RENDITION_PENDING')
  const failed = { track: 'webcam', kind: 'mp4' as const, version: 1, blob: null, mimeType: null, bytes: 0, reason: 'no decoder' }
  put(sessionState('s1', { ...file, eventsOffset: '2', renditions: [failed] }))
  const refused = (await ask()).json()
  assert.deepEqual([refused.code, refused.detail.includes('no decoder')], ['RENDITION_NOT_FOUND', true])
  assert.deepEqual([announced.length, other.announced.length], [1, 0])
})

test('a request for an MP4 that Kafka did not take is repeated', async () => {
  let failures = 1
  const { app, put, admin, announced } = await testApp({
    fold: () => {
      if (failures-- > 0) throw new LongtakeError('UNAVAILABLE', 'no broker')
      return undefined
    },
  })
  put(sessionState('s1', { tracks: { webcam: { files: [webcamFile] } } }))
  const codes = []
  for (const _ of [1, 2, 3]) codes.push((await app.inject({ url: '/v1/sessions/s1/tracks/webcam/mp4', headers: admin })).json().code)
  assert.deepEqual([codes, announced.length], [['UNAVAILABLE', 'RENDITION_PENDING', 'RENDITION_PENDING'], 2])
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

test('a deleted session states what remains of it, where and until when', async () => {
  const { app, put, admin } = await testApp()
  const deleted = (deletion: object) => put(sessionState('gone', { status: 'deleted', deletedAt: '2026-03-02T10:00:00.000Z', eventsOffset: '2', deletion, revision: Object.keys(deletion).length }))
  const remains = async (): Promise<Record<string, string | null>> => {
    const { deletion } = (await app.inject({ url: '/v1/sessions/gone', headers: admin })).json()
    return Object.fromEntries([['erasedAt', deletion.erasedAt], ...deletion.remains.map(({ where, until }: { where: string; until: string | null }) => [where, until])])
  }
  deleted({})
  assert.deepEqual(await remains(), {
    erasedAt: null,
    'recordings.chunks': null,
    'recordings.events': '2027-03-02T10:00:00.000Z',
    'recordings.resends': null,
    'recordings.parked': null,
    'recordings.unwritable': null,
    'recordings.status': null,
    storage: null,
  })
  deleted({ expiredAt: '2026-04-02T10:00:00.000Z' })
  assert.equal((await remains())['storage'], null, 'of a version that did not record the erasure')
  deleted({ erasedAt: '2026-03-05T10:00:00.000Z', expiredAt: undefined })
  const { erasedAt, storage, 'recordings.status': status } = await remains()
  assert.deepEqual([erasedAt, storage, status], ['2026-03-05T10:00:00.000Z', '2026-04-04T10:00:00.000Z', '2026-04-04T10:00:00.000Z'])
  const receipt = await app.inject({ method: 'DELETE', url: '/v1/sessions/gone', headers: { ...admin, prefer: 'respond-async, return=representation' } })
  assert.deepEqual([receipt.statusCode, receipt.headers['preference-applied'], receipt.json().id, receipt.json().erasedAt], [200, 'return=representation', 'gone', erasedAt])
})

test('a deleted session states how long recordings.chunks keeps its records, as configured', async () => {
  const periods = [[3_600_000, '1 hour'], [7_200_000, '2 hours'], [300_000, '5 minutes'], [90_000, '90 seconds'], [1_500, '1500 milliseconds']] as const
  for (const [keepCommittedMs, period] of periods) {
    const { app, put, admin } = await testApp({ keepCommittedMs })
    put(sessionState('gone', { status: 'deleted', deletedAt: '2026-03-02T10:00:00.000Z', eventsOffset: '2' }))
    const { deletion } = (await app.inject({ url: '/v1/sessions/gone', headers: admin })).json()
    const { what } = deletion.remains.find(({ where }: { where: string }) => where === 'recordings.chunks')
    assert.ok(what.endsWith(`truncates the topic ${period} after it has committed them`), what)
  }
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
