import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTokens, Secret } from '@longtake/service'
import { judgeUpgrade, type UpgradeRequest } from '../src/upgrade.ts'
import { CLIENT, NOW } from './conversation.ts'

const tokens = createTokens({ tokenSecret: new Secret('s'.repeat(32)) })
const exp = NOW / 1000 + 60
const token = await tokens.sign({ sub: 's-1', scope: 'ingest', exp })
const request: UpgradeRequest = { session: 's-1', client: CLIENT, authorization: '', subprotocols: '' }
const judge = (change: Partial<UpgradeRequest>, now = NOW) => judgeUpgrade({ ...request, ...change }, tokens, now)
const accepted = (subprotocol: string) => ({ identity: { session: 's-1', client: CLIENT, expiresAt: exp * 1000 }, subprotocol })

test('a token comes as a header or as a subprotocol, and only longtake.v1 is answered', async () => {
  assert.deepEqual(await judge({ authorization: `Bearer ${token}` }), accepted(''))
  assert.deepEqual(await judge({ authorization: `bearer ${token}`, subprotocols: 'longtake.v1' }), accepted('longtake.v1'))
  assert.deepEqual(await judge({ subprotocols: `longtake.v1, bearer.${token}` }), accepted('longtake.v1'))
  assert.deepEqual(await judge({ subprotocols: `bearer.${token}` }), accepted(''))
})

test('without a good token for this session nothing is upgraded, and no answer repeats the token', async () => {
  const watch = await tokens.sign({ sub: 's-1', scope: 'watch', exp })
  const other = await tokens.sign({ sub: 's-2', scope: 'ingest', exp })
  const cases: [Partial<UpgradeRequest>, number, string, number?][] = [
    [{}, 401, 'REC_UNAUTHORIZED'],
    [{ authorization: `Basic ${token}` }, 401, 'REC_UNAUTHORIZED'],
    [{ authorization: 'Bearer nonsense' }, 401, 'REC_UNAUTHORIZED'],
    [{ subprotocols: 'longtake.v1, bearer.' }, 401, 'REC_UNAUTHORIZED'],
    [{ authorization: `Bearer ${watch}` }, 401, 'REC_UNAUTHORIZED'],
    [{ authorization: `Bearer ${other}` }, 401, 'REC_UNAUTHORIZED'],
    [{ authorization: `Bearer ${token}` }, 401, 'REC_EXPIRED', exp * 1000],
    [{ authorization: `Bearer ${token}`, session: 'a/b' }, 400, 'REC_MALFORMED'],
    [{ authorization: `Bearer ${token}`, client: undefined }, 400, 'REC_MALFORMED'],
    [{ authorization: `Bearer ${token}`, client: 'laptop' }, 400, 'REC_MALFORMED'],
  ]
  for (const [change, status, code, now] of cases) {
    const judgement = await judge(change, now)
    assert.ok('status' in judgement, JSON.stringify(change))
    assert.deepEqual([judgement.status, judgement.code], [status, code])
    assert.ok(!JSON.stringify(judgement).includes(token))
  }
})
