import assert from 'node:assert/strict'
import { fuzz } from '@longtake/testkit'
import fc from 'fast-check'
import { ifRangeHolds, planRange } from '../src/range.ts'
import { pageOf } from '../src/session-list.ts'
import { API_KEY, sessionState, testApp, webcamFile } from './fakes.ts'

const number = fc.oneof(fc.nat(300).map(String), fc.constantFrom('', '-1', '00', '1e3', '0x10', '9007199254740993', '99999999999999999999', ' 5', '5 ', '٣'))
const range = fc.oneof(
  fc.tuple(fc.constantFrom('bytes', 'Bytes', 'items', ''), fc.constantFrom('=', ' = ', ''), number, fc.constantFrom('-', '--', ''), number).map((pieces) => pieces.join('')),
  fc.array(fc.tuple(number, number).map((pair) => pair.join('-')), { minLength: 1, maxLength: 40 }).map((ranges) => `bytes=${ranges.join(',')}`),
  fc.string(),
)

fuzz('whatever a Range header says: the whole, or bytes that exist, or 416', 3000, fc.tuple(range, fc.oneof(fc.nat(300), fc.constantFrom(0, 1, 2 ** 40))), ([header, total]) => {
  const plan = planRange(header, total)
  if (plan.kind === 'part') assert.ok(Number.isSafeInteger(plan.start) && 0 <= plan.start && plan.start <= plan.end && plan.end < total, JSON.stringify(plan))
  // RFC 9110: one sound range, judged without the parser under test.
  const sound = /^bytes=(\d*)-(\d*)$/.exec(header)
  if (sound === null || total === 0) return
  const [first, last] = [sound[1]!, sound[2]!]
  if (first === '' && last === '') return
  const start = first === '' ? Math.max(0, total - Number(last)) : Number(first)
  const end = first === '' || last === '' ? total - 1 : Math.min(total - 1, Number(last))
  if (first !== '' && last !== '' && Number(first) > Number(last)) return assert.notEqual(plan.kind, 'part')
  if (start >= total) return assert.equal(plan.kind, 'unsatisfiable')
  assert.deepEqual(plan, { kind: 'part', start, end })
})

fuzz('whatever If-Range says, it holds only for bytes that are the same', 1000, fc.tuple(fc.oneof(fc.string(), fc.constantFrom('"g1-c1"', '"g1-c4"', '"g2-c4"', 'W/"g1-c4"', '"g1-c4" ')), fc.nat(200_000)), ([validator, start]) => {
  const holds = ifRangeHolds(validator, { generation: 1, commit: 4 }, start, 70_000)
  if (holds) assert.ok(validator === '"g1-c4"' || (/^"g0*1-c\d+"$/.test(validator) && start >= 70_000), validator)
})

const summaries = Array.from({ length: 7 }, (_, i) => ({ id: `s${i}`, status: 'waiting' as const, version: 0, startedAt: null, endedAt: null, tracks: [], createdAt: `2026-03-01T10:00:0${i >> 1}Z` }))

fuzz('pages by the cursors that they give hold every session once; any other cursor is one or is refused', 1000, fc.tuple(fc.integer({ min: 1, max: 9 }), fc.string()), ([limit, text]) => {
  const seen: string[] = []
  for (let after: string | undefined; ; ) {
    const page = pageOf(summaries, { limit, ...(after === undefined ? {} : { after }) })
    seen.push(...page.sessions.map(({ id }) => id))
    if (page.next === null) break
    after = page.next
    assert.ok(seen.length <= summaries.length)
  }
  assert.deepEqual(seen.toSorted(), summaries.map(({ id }) => id))
  try {
    assert.ok(pageOf(summaries, { limit, after: text }).sessions.length <= limit)
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'INVALID_REQUEST')
  }
})

const { app, put, sign } = await testApp({
  recordings: {
    properties: async () => ({ bytes: 300, generation: 1, commit: 4, headerBytes: 100, lastModified: new Date('2026-03-01T10:00:09Z') }),
    readPiece: async (_blob, offset, count) => ({
      bytes: (async function* () {
        yield Buffer.alloc(300).subarray(offset, offset + count)
      })(),
      version: { generation: 1, commit: 4 },
    }),
  },
})
put(sessionState('s1', { status: 'recording', startedAt: '2026-03-01T10:00:00Z', tracks: { webcam: { files: [webcamFile] } } }))
const watch = await sign('s1', 'watch')

const segment = fc.oneof(fc.constantFrom('v1', 'sessions', 's1', 'tracks', 'webcam', 'manifest', 'finish', 'poster', 'mp4', 'constructor', '__proto__', '..', '%2e%2e', '%00', '%', 'nobody'), fc.string({ maxLength: 80 }))
const path = fc.oneof(
  fc.constantFrom('/v1/sessions', '/v1/sessions/s1', '/v1/sessions/s1/tracks/webcam', '/v1/sessions/s1/manifest', '/v1/sessions/s1/finish'),
  fc.array(segment, { maxLength: 6 }).map((segments) => `/v1/sessions/${segments.join('/')}`),
)
const query = fc.array(fc.tuple(fc.constantFrom('limit', 'after', 'file', 'v', 'token', 'x'), fc.oneof(number, fc.string({ maxLength: 300 }), fc.constant(watch))), { maxLength: 4 }).map((pairs) => pairs.map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`).join('&'))
// Node itself refuses others in a header.
const headerText = fc.string({ unit: 'grapheme-ascii', maxLength: 60 })

fuzz(
  'whatever is asked for: an answer of the documented kind, never a fault of ours',
  400,
  fc.record({
    method: fc.constantFrom('GET' as const, 'HEAD' as const, 'POST' as const, 'DELETE' as const),
    path,
    query,
    authorization: fc.oneof(fc.constantFrom(`Bearer ${API_KEY}`, `Bearer ${watch}`), headerText),
    range: fc.oneof(headerText, fc.constantFrom('bytes=0-5', 'bytes=-5', 'bytes=500-')),
    ifRange: fc.option(headerText, { nil: undefined }),
    payload: fc.option(fc.oneof(fc.json(), fc.string()), { nil: undefined }),
  }),
  async ({ method, path, query, authorization, range, ifRange, payload }) => {
    // Ends in waiting for a status, which no completeness writes here.
    if (method === 'DELETE' || (method === 'POST' && !path.endsWith('/finish'))) authorization = 'Bearer x'
    const url = encodeURI(`${path}?${query}`.toWellFormed())
    const headers = { authorization, range, ...(ifRange === undefined ? {} : { 'if-range': ifRange }), ...(payload === undefined ? {} : { 'content-type': 'application/json' }) }
    const response = await app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) })
    assert.ok(response.statusCode < 500, `${method} ${url}: ${response.statusCode} ${response.body}`)
    if (response.statusCode < 400 || method === 'HEAD') return
    assert.match(String(response.headers['content-type']), /^application\/problem\+json/)
    assert.match((response.json() as { code: string }).code, /^[A-Z_]+$/)
  },
)
