import assert from 'node:assert/strict'
import { fuzz } from '@longtake/testkit'
import fc from 'fast-check'
import { evaluatePreconditions, ifRangeHolds } from '../src/preconditions.ts'
import { planRange } from '../src/range.ts'
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
  const ranges = plan.kind === 'ranges' ? plan.ranges : []
  for (const { start, end } of ranges) assert.ok(Number.isSafeInteger(start) && 0 <= start && start <= end && end < total, JSON.stringify(plan))
  assert.ok(ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0) <= total, 'no byte is sent twice')
  // RFC 9110: one sound range, judged without the parser under test.
  const sound = /^bytes=(\d*)-(\d*)$/.exec(header)
  if (sound === null || total === 0) return
  const [first, last] = [sound[1]!, sound[2]!]
  if (first === '' && last === '') return
  const start = first === '' ? Math.max(0, total - Number(last)) : Number(first)
  const end = first === '' || last === '' ? total - 1 : Math.min(total - 1, Number(last))
  if (first !== '' && last !== '' && Number(first) > Number(last)) return assert.equal(plan.kind, 'whole')
  if (start >= total || (first === '' && Number(last) === 0)) return assert.equal(plan.kind, 'unsatisfiable')
  assert.deepEqual(plan, { kind: 'ranges', ranges: [{ start, end }] })
})

const tag = fc.oneof(fc.string(), fc.constantFrom('"g1-c1"', '"g1-c4"', 'W/"g1-c4"', ' "g1-c4" ', '*', '"g1-c1", "g1-c4"', 'Sun, 01 Mar 2026 10:00:09 GMT'))

fuzz('whatever the conditional headers say: an outcome, and If-Range holds for the same commit only', 1000, fc.tuple(tag, tag, tag, tag), ([match, noneMatch, modified, unmodified]) => {
  assert.equal(ifRangeHolds(match, '"g1-c4"'), match.trim() === '"g1-c4"')
  const headers = { 'if-match': match, 'if-none-match': noneMatch, 'if-modified-since': modified, 'if-unmodified-since': unmodified }
  const outcome = evaluatePreconditions(headers, { etag: '"g1-c4"', lastModified: new Date('2026-03-01T10:00:09Z') })
  assert.ok(['proceed', 'not-modified', 'failed'].includes(outcome))
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
