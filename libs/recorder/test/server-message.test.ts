import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { isWireFault, parseServerMessage as parseBySchema } from '@longtake/contracts'
import { parseServerMessage } from '../src/upload/server-message.ts'

const fixtures = JSON.parse(readFileSync(new URL('../../contracts/fixtures/wire-messages.json', import.meta.url), 'utf8')) as { server: Record<string, object> }
const examples = Object.values(fixtures.server)

describe('messages of the server', () => {
  it('are read as the contract has them', () => {
    assert.ok(examples.length >= 7)
    for (const example of examples) assert.deepEqual(parseServerMessage(JSON.stringify(example)), example)
  })
  it('with a field missing or of another type are faults wherever the schema says so', () => {
    for (const example of examples) {
      for (const field of Object.keys(example).filter((name) => name !== 'type' && name !== 'session')) {
        for (const value of [undefined, null, -1, 1.5, 'x', {}, []]) {
          // An id of a wrong form is just one that nobody has.
          if (value === 'x' && (field === 'track' || field === 'part')) continue
          const text = JSON.stringify({ ...example, [field]: value })
          if (isWireFault(parseBySchema(text))) assert.equal(parseServerMessage(text), 'malformed', text)
        }
      }
    }
  })
  it('of an unknown type are told from faults', () => {
    assert.equal(parseServerMessage('{"type":"later"}'), 'unknown')
    assert.equal(parseServerMessage('{"type":"toString"}'), 'unknown')
  })
  for (const text of ['', '{', 'null', '[]', '"ack"', '{}', '{"type":1}', '{"type":"ack","handle":0,"from":5,"to":4}']) {
    it(`${JSON.stringify(text)} is a fault`, () => assert.equal(parseServerMessage(text), 'malformed'))
  }
})
