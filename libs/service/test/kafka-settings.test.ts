import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { inspect } from 'node:util'
import { LongtakeError } from '@longtake/contracts'
import { createLogger, kafkaConnection, kafkaSettings, port, readEnv, type Env } from '../src/index.ts'
import { cachedToken, requestToken } from '../src/kafka-oauth.ts'
import { securityWarnings } from '../src/kafka-security.ts'
import { Secret } from '../src/secret.ts'

const folder = mkdtempSync(join(tmpdir(), 'longtake-kafka-settings-'))
after(() => rmSync(folder, { recursive: true }))
const file = (name: string): string => join(folder, name)
const selfSigned = (name: string): void => {
  const into = ['-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)]
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  execFileSync('openssl', ['req', '-x509', ...key, '-days', '90', '-subj', `/CN=${name}`, ...into], { stdio: 'pipe' })
}
selfSigned('client')
selfSigned('other')

const BROKERS = { KAFKA_BROKERS: 'kafka-1:9093' }
const TLS = { ...BROKERS, KAFKA_TLS: 'true' }
const OAUTH = { KAFKA_SASL_MECHANISM: 'oauthbearer', KAFKA_OAUTH_TOKEN_URL: 'https://id/token', KAFKA_OAUTH_CLIENT_ID: 'c', KAFKA_OAUTH_CLIENT_SECRET: 'hush' }
const read = (env: Env) => readEnv(env, { ...kafkaSettings, port: port('A_PORT', { help: 'any', default: 1 }) })
function faults(env: Env): string[] {
  try {
    read(env)
  } catch (error) {
    assert.ok(error instanceof LongtakeError && error.code === 'INVALID_CONFIG')
    return error.message.split('\n').slice(1).map((line) => line.trim())
  }
  return []
}
const connection = (env: Env) => kafkaConnection({ ...read(env), instance: 'i' }, 'test', createLogger({ service: 'test', level: 'silent' }))

test('a login that is not whole is refused with all other faults, never dropped', () => {
  const plain = { ...TLS, KAFKA_SASL_MECHANISM: 'plain' }
  assert.deepEqual(faults({ ...plain, KAFKA_USERNAME: 'u', A_PORT: 'x' }), [
    'A_PORT is "x": it must be a whole number from 0 to 65535 (any)',
    'KAFKA_PASSWORD is not set, which KAFKA_SASL_MECHANISM=plain needs',
  ])
  assert.equal(faults(plain).length, 2)
  for (const name of ['KAFKA_USERNAME', 'KAFKA_PASSWORD', 'KAFKA_OAUTH_CLIENT_ID', 'KAFKA_OAUTH_SCOPE']) {
    assert.match(faults({ ...TLS, [name]: 'x' }).join(), new RegExp(`^${name} is set, but has no effect without KAFKA_SASL_MECHANISM`))
  }
  assert.match(faults({ ...plain, KAFKA_USERNAME: 'u', KAFKA_PASSWORD: 'p', KAFKA_OAUTH_CLIENT_ID: 'c' }).join(), /^KAFKA_OAUTH_CLIENT_ID is set, but has no effect/)
  assert.equal(faults({ ...TLS, KAFKA_SASL_MECHANISM: 'plane', KAFKA_USERNAME: 'u' }).length, 1, 'a misspelt mechanism is one fault')
  assert.deepEqual(connection({ ...plain, KAFKA_USERNAME: 'u', KAFKA_PASSWORD: 'p' }).sasl, { mechanism: 'plain', username: 'u', password: 'p' })
  assert.deepEqual([connection(BROKERS).sasl, connection(BROKERS).ssl], [undefined, false])
})

test('oauthbearer needs a token endpoint with a client, or a file', () => {
  assert.match(faults({ ...TLS, KAFKA_SASL_MECHANISM: 'oauthbearer' }).join(), /needs KAFKA_OAUTH_TOKEN_URL, .*, or KAFKA_OAUTH_TOKEN_FILE$/)
  assert.deepEqual(faults({ ...TLS, ...OAUTH, KAFKA_OAUTH_CLIENT_SECRET: '' }), ['KAFKA_OAUTH_CLIENT_SECRET is not set, which KAFKA_SASL_MECHANISM=oauthbearer needs'])
  assert.match(faults({ ...TLS, ...OAUTH, KAFKA_OAUTH_TOKEN_URL: 'http://id/token' }).join(), /must begin with https/)
  assert.deepEqual(faults({ ...TLS, ...OAUTH, KAFKA_OAUTH_TOKEN_URL: 'http://127.0.0.1:1/token' }), [])
  assert.match(faults({ ...TLS, ...OAUTH, KAFKA_USERNAME: 'u' }).join(), /^KAFKA_USERNAME is set, but has no effect/)
  assert.match(faults({ ...TLS, KAFKA_SASL_MECHANISM: 'oauthbearer', KAFKA_OAUTH_TOKEN_FILE: file('none') }).join(), /KAFKA_OAUTH_TOKEN_FILE .*ENOENT/)
})

test('the token of a file is the one that is in it now', async () => {
  writeFileSync(file('token'), 'first\n')
  const { sasl } = connection({ ...TLS, KAFKA_SASL_MECHANISM: 'oauthbearer', KAFKA_OAUTH_TOKEN_FILE: file('token') })
  assert.ok(sasl?.mechanism === 'oauthbearer')
  assert.deepEqual(await sasl.oauthBearerProvider(), { value: 'first' })
  writeFileSync(file('token'), 'second')
  assert.deepEqual(await sasl.oauthBearerProvider(), { value: 'second' })
})

test('certificates and keys come as files or as PEM, and are checked at the start', () => {
  const [cert, key] = [readFileSync(file('client.pem'), 'utf8'), readFileSync(file('client.key'), 'utf8')]
  const files = { ...TLS, KAFKA_TLS_CA: file('other.pem'), KAFKA_TLS_CERT: file('client.pem'), KAFKA_TLS_KEY: file('client.key') }
  assert.deepEqual(connection(files).ssl, { ca: readFileSync(file('other.pem'), 'utf8'), cert, key })
  assert.deepEqual(connection({ ...TLS, KAFKA_TLS_CERT: cert, KAFKA_TLS_KEY: key }).ssl, { cert: cert.trim(), key: key.trim() })
  assert.equal(connection(TLS).ssl, true)
  assert.match(faults({ ...files, KAFKA_TLS_CA: file('none') }).join(), /^KAFKA_TLS_CA .*file that this process can read \(ENOENT\)/)
  assert.match(faults({ ...files, KAFKA_TLS_CERT: file('client.key') }).join(), /^KAFKA_TLS_CERT .*must hold a certificate/)
  assert.match(faults({ ...files, KAFKA_TLS_KEY: file('other.key') }).join(), /^KAFKA_TLS_KEY is not the key of/)
  assert.match(faults({ ...files, KAFKA_TLS_KEY: '' }).join(), /^KAFKA_TLS_KEY is not set, which KAFKA_TLS_CERT needs/)
  assert.equal(faults({ ...files, KAFKA_TLS: 'false' }).filter((fault) => fault.includes('without KAFKA_TLS=true')).length, 3)
  // A key in the wrong place does not come into the log.
  const wrong = faults({ ...TLS, KAFKA_TLS_CERT: key, KAFKA_TLS_KEY: cert }).join()
  assert.doesNotMatch(wrong, /BEGIN (PRIVATE KEY|CERTIFICATE)-----\n/)
  assert.doesNotMatch(inspect(read(files), { depth: 9 }), /PRIVATE KEY/)
})

test('certificates that are replaced are used from the next connection on, and never in halves', () => {
  for (const end of ['pem', 'key']) copyFileSync(file(`client.${end}`), file(`renewed.${end}`))
  const env = { ...TLS, KAFKA_TLS_CA: file('renewed.pem'), KAFKA_TLS_CERT: file('renewed.pem'), KAFKA_TLS_KEY: file('renewed.key') }
  const lines: string[] = []
  const logger = createLogger({ service: 'test', destination: { write: (line) => lines.push(line) } })
  const { ssl } = kafkaConnection({ ...read(env), instance: 'i' }, 'test', logger)
  const pem = (name: string, end: string): string => readFileSync(file(`${name}.${end}`), 'utf8')
  const of = (name: string) => ({ ca: pem(name, 'pem'), cert: pem(name, 'pem'), key: pem(name, 'key') })
  assert.deepEqual({ ...(ssl as object) }, of('client'))
  copyFileSync(file('other.pem'), file('renewed.pem'))
  assert.deepEqual({ ...(ssl as object) }, of('client'), 'its key has not come yet')
  copyFileSync(file('other.key'), file('renewed.key'))
  assert.deepEqual({ ...(ssl as object) }, of('other'))
  rmSync(file('renewed.pem'))
  assert.deepEqual({ ...(ssl as object) }, of('other'))
  const messages = lines.map((line) => (JSON.parse(line) as { message: string }).message)
  const failed = 'Kafka certificates could not be reloaded, using the last ones'
  assert.deepEqual(messages, [failed, 'Kafka certificates reloaded', failed])
  assert.doesNotMatch(lines.join(), /BEGIN/)
})

test('credentials without TLS and certificates that end soon are warned about', () => {
  const login = { KAFKA_SASL_MECHANISM: 'plain', KAFKA_USERNAME: 'u', KAFKA_PASSWORD: 'hush' }
  const warned = (env: Env, inDays = 0) => securityWarnings(read(env), Date.now() + inDays * 86_400_000)
  assert.match(warned({ ...BROKERS, ...login })[0]?.message ?? '', /without TLS/)
  assert.doesNotMatch(JSON.stringify(warned({ ...BROKERS, ...login })), /hush/)
  assert.deepEqual(warned({ KAFKA_BROKERS: '127.0.0.1:9092,localhost:9092,[::1]:9092', ...login }), [])
  const withCa = { ...TLS, KAFKA_TLS_CA: file('other.pem') }
  assert.deepEqual(warned(withCa, 59), [])
  assert.match(warned(withCa, 61)[0]?.message ?? '', /expires soon/)
  assert.match(warned(withCa, 91)[0]?.message ?? '', /has expired/)
})

test('a token is shared, renewed before its end, and kept to its end if no other is to be had', async () => {
  let now = 0
  let asked = 0
  let fails = false
  const token = cachedToken(() => {
    asked += 1
    return fails ? Promise.reject(new Error('away')) : Promise.resolve({ value: `t${asked}`, lifetimeMs: 1000 })
  }, () => now)
  assert.deepEqual(await Promise.all([token(), token(), token()]), ['t1', 't1', 't1'])
  now = 799
  assert.equal(await token(), 't1')
  now = 800
  fails = true
  assert.equal(await token(), 't1')
  now = 1000
  await assert.rejects(token(), /away/)
  fails = false
  assert.equal(await token(), 't4')
})

test('the token endpoint is asked by client credentials; a refusal differs from an outage, and neither shows the secret', async (t) => {
  let answer: [status: number, body: object] = [200, { access_token: 'abc', token_type: 'Bearer', expires_in: 60 }]
  const requests: string[] = []
  const server: Server = createServer((request, response) => {
    let body = ''
    request.on('data', (bytes) => (body += String(bytes)))
    request.on('end', () => {
      requests.push(`${request.method} ${request.headers.authorization} ${body}`)
      response.writeHead(answer[0], { 'content-type': 'application/json' }).end(JSON.stringify(answer[1]))
    })
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.after(() => server.close())
  const client = { tokenUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`, clientId: 'id', clientSecret: new Secret('hush'), scope: 'kafka' }
  assert.deepEqual(await requestToken(client), { value: 'abc', lifetimeMs: 60_000 })
  assert.deepEqual(requests, [`POST Basic ${Buffer.from('id:hush').toString('base64')} scope=kafka&grant_type=client_credentials`])
  answer = [401, { error: 'invalid_client' }]
  await assert.rejects(requestToken(client), (error: Error & { retriable?: boolean }) => error.retriable === false && /invalid_client/.test(error.message) && !/hush/.test(inspect(error, { depth: 9 })))
  answer = [503, {}]
  await assert.rejects(requestToken(client), { retriable: true })
  server.close()
  server.closeAllConnections()
  await assert.rejects(requestToken(client), { retriable: true })
})
