import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { CATALOGUE, CLOSE_CODES, DEFAULT_MAX_CHUNK_BYTES, ERROR_CODES, MAX_MESSAGE_BYTES, SessionState } from '../src/index.ts'
import * as samples from './samples.ts'

const types = (values: readonly { type: string }[]): string[] => values.map(({ type }) => type).sort()

test('everything in the catalogue has a golden sample', () => {
  assert.deepEqual(types(samples.declarations), Object.keys(CATALOGUE.declarations).sort())
  assert.deepEqual(types(samples.events), Object.keys(CATALOGUE.events).sort())
  assert.deepEqual(types(samples.clientMessages), Object.keys(CATALOGUE.clientMessages).sort())
  assert.deepEqual(types(samples.serverMessages), Object.keys(CATALOGUE.serverMessages).sort())
  assert.deepEqual(Object.keys(samples.state).sort(), Object.keys(SessionState.properties).sort())
})

test('the README names every topic, event, declaration, message, error code and reason for parking', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const names = [
    ...Object.values(CATALOGUE.topics).map((topic) => topic.name),
    ...Object.keys(CATALOGUE.declarations),
    ...Object.keys(CATALOGUE.events),
    ...Object.keys(CATALOGUE.clientMessages),
    ...Object.keys(CATALOGUE.serverMessages),
    ...Object.keys(CATALOGUE.errors),
    ...Object.keys(CATALOGUE.parked),
  ]
  assert.deepEqual(
    names.filter((name) => !readme.includes(`\`${name}\``)),
    [],
  )
})

test('every error of the wire closes with a documented code', () => {
  const known = new Set<number>(Object.values(CLOSE_CODES))
  for (const [code, entry] of Object.entries(ERROR_CODES)) {
    assert.equal(code.startsWith('REC_'), 'close' in entry, code)
    if ('close' in entry) assert.ok(known.has(entry.close), code)
  }
})

test('the largest chunk with its headers fits a record batch', () => {
  assert.ok(DEFAULT_MAX_CHUNK_BYTES + 16 * 1024 < MAX_MESSAGE_BYTES)
})
