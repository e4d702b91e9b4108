import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base64url, SignJWT, UnsecuredJWT } from 'jose'
import { Secret } from '../src/secret.ts'
import { createTokens } from '../src/tokens.ts'

const now = Date.parse('2026-03-01T12:00:00Z')
const exp = now / 1000 + 60
const claims = { sub: 'sitting-1', scope: 'ingest', exp } as const
const wanted = { session: 'sitting-1', scope: 'ingest', now } as const
const secretOf = (letter: string): Secret => new Secret(letter.repeat(32))
const tokens = createTokens({ tokenSecret: secretOf('a') })

test('a token opens its own session and scope until it runs out', async () => {
  const token = await tokens.sign(claims)
  assert.deepEqual(await tokens.verify(token, wanted), claims)
  assert.deepEqual(await tokens.verify(token, { ...wanted, now: exp * 1000 - 1 }), claims)
  assert.equal(await tokens.verify(token, { ...wanted, now: exp * 1000 }), 'expired')
  assert.equal(await tokens.verify(token, { ...wanted, session: 'sitting-2' }), 'wrong-session')
  assert.equal(await tokens.verify(token, { ...wanted, scope: 'watch' }), 'wrong-scope')
})

test('forged, foreign and malformed tokens are unauthorized, also when they are expired', async () => {
  const [header, payload, signature] = (await tokens.sign(claims)).split('.') as [string, string, string]
  const otherPayload = base64url.encode(JSON.stringify({ ...claims, sub: 'sitting-2' }))
  const key = new TextEncoder().encode('a'.repeat(32))
  const signed = (body: Record<string, unknown>, alg = 'HS256'): Promise<string> => new SignJWT(body).setProtectedHeader({ alg }).sign(key)
  const forgeries = [
    undefined,
    '',
    'a.b.c',
    `${header}.${payload}`,
    `${header}.${otherPayload}.${signature}`,
    `${header}.${payload}.${signature.slice(1)}`,
    await createTokens({ tokenSecret: secretOf('b') }).sign({ ...claims, exp: 1 }),
    new UnsecuredJWT(claims).encode(),
    await signed({ ...claims }, 'HS512'),
    await signed({ sub: 'sitting-1', scope: 'ingest' }),
    await signed({ ...claims, scope: 'admin' }),
    await signed({ ...claims, sub: '../x' }),
  ]
  for (const token of forgeries) assert.equal(await tokens.verify(token, wanted), 'unauthorized', token)
})

test('while the secret changes, tokens of the previous one are good; new ones are signed with the new', async () => {
  const old = await tokens.sign(claims)
  const changing = createTokens({ tokenSecret: secretOf('b'), previousTokenSecret: secretOf('a') })
  assert.deepEqual(await changing.verify(old, wanted), claims)
  const fresh = await changing.sign(claims)
  const changed = createTokens({ tokenSecret: secretOf('b') })
  assert.deepEqual(await changed.verify(fresh, wanted), claims)
  assert.equal(await changed.verify(old, wanted), 'unauthorized')
})
