import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluatePreconditions, ifRangeHolds, type ConditionalHeaders } from '../src/preconditions.ts'

const etag = '"g1-c9"'
const lastModified = new Date('2026-03-01T10:00:09.700Z')
const at = 'Sun, 01 Mar 2026 10:00:09 GMT'
const before = 'Sun, 01 Mar 2026 10:00:08 GMT'
const evaluate = (headers: ConditionalHeaders): string => evaluatePreconditions(headers, { etag, lastModified })

test('If-None-Match compares weakly, knows lists and *, and outranks If-Modified-Since', () => {
  for (const header of [etag, `W/${etag}`, '*', ` ${etag} `, `"x", W/${etag}`, `"a,b",${etag}`]) assert.equal(evaluate({ 'if-none-match': header }), 'not-modified', header)
  for (const header of ['"g1-c8"', 'g1-c9', '', 'W/"g1-c90"']) assert.equal(evaluate({ 'if-none-match': header }), 'proceed', header)
  assert.equal(evaluate({ 'if-none-match': '"other"', 'if-modified-since': at }), 'proceed')
})

test('If-Match compares strongly and outranks If-Unmodified-Since', () => {
  for (const header of [etag, '*', `"x", ${etag}`]) assert.equal(evaluate({ 'if-match': header }), 'proceed', header)
  for (const header of [`W/${etag}`, '"x"', '']) assert.equal(evaluate({ 'if-match': header }), 'failed', header)
  assert.equal(evaluate({ 'if-match': etag, 'if-unmodified-since': before }), 'proceed')
  assert.equal(evaluate({ 'if-match': '"x"', 'if-none-match': etag }), 'failed')
})

test('dates have seconds; what is no date is ignored', () => {
  assert.equal(evaluate({ 'if-modified-since': at }), 'not-modified')
  assert.equal(evaluate({ 'if-modified-since': before }), 'proceed')
  assert.equal(evaluate({ 'if-unmodified-since': at }), 'proceed')
  assert.equal(evaluate({ 'if-unmodified-since': before }), 'failed')
  for (const header of ['yesterday?', '']) assert.equal(evaluate({ 'if-modified-since': header, 'if-unmodified-since': header }), 'proceed', header)
})

test('If-Range holds for the very same commit only: never weakly, never by date', () => {
  for (const header of [undefined, etag, ` ${etag}`]) assert.ok(ifRangeHolds(header, etag), header)
  for (const header of ['"g1-c8"', '"g2-c9"', `W/${etag}`, at, 'Sun, 01 Mar 2099 10:00:09 GMT', '*', '']) assert.ok(!ifRangeHolds(header, etag), header)
})
