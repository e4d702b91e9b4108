import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeStatus, type SessionState } from '@longtake/contracts'
import { SessionTable } from '../src/session-table.ts'
import { sessionState } from './fakes.ts'

function tableWith(...states: SessionState[]): SessionTable {
  const table = new SessionTable(async () => undefined)
  for (const state of states) put(table, state)
  return table
}
const put = (table: SessionTable, state: SessionState): string | undefined => {
  const { key, value, headers } = encodeStatus(state)
  return table.apply(key, value, headers)
}

test('the state with the higher events offset, then revision, is true in whatever order they come', () => {
  const table = tableWith(sessionState('s', { eventsOffset: '10', status: 'recording' }), sessionState('s', { eventsOffset: '9', status: 'waiting' }))
  assert.equal(table.get('s')?.status, 'recording')
  put(table, sessionState('s', { eventsOffset: '10', revision: 1, status: 'interrupted' }))
  put(table, sessionState('s', { eventsOffset: '10', revision: 0, status: 'recording' }))
  assert.equal(table.get('s')?.status, 'interrupted')
})

test('an unknown session is looked for in all that Kafka has before the answer is no', async () => {
  const table = new SessionTable(async () => void put(table, sessionState('late')))
  assert.equal((await table.find('late'))?.session, 'late')
  assert.equal(await table.find('never'), undefined)
})

test('waiting for a state ends when it comes', async () => {
  const table = tableWith(sessionState('s'))
  const deleted = table.until('s', ({ status }) => status === 'deleted')
  put(table, sessionState('s', { eventsOffset: '2', status: 'recording' }))
  put(table, sessionState('s', { eventsOffset: '3', status: 'deleted' }))
  assert.equal((await deleted).eventsOffset, '3')
})

test('a tombstone forgets the session; what is no status is named and changes nothing', () => {
  const table = tableWith(sessionState('s'))
  assert.match(table.apply('s', new TextEncoder().encode('{}'), {}) ?? '', /required/)
  assert.equal(table.get('s')?.session, 's')
  table.apply('s', null, {})
  assert.equal(table.get('s'), undefined)
})
