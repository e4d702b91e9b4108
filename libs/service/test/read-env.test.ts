import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { LongtakeError } from '@longtake/contracts'
import { azureSettings, bytes, duration, flag, integer, list, nearNames, oneOf, port, ratio, readEnv, secret, type Setting, text, url } from '../src/index.ts'

const help = 'what it is for'
const read = <T>(setting: Setting<T>, raw: string | undefined): T => readEnv({ [setting.name]: raw }, { it: setting }).it
const faults = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof LongtakeError && error.code === 'INVALID_CONFIG')
    return error.message
  }
  throw new Error('expected faults')
}

test('every kind reads its values', () => {
  assert.equal(read(text('A', { help }), ' x '), 'x')
  assert.equal(read(integer('A', { help, min: -5, max: 5 }), '-5'), -5)
  assert.equal(read(port('A', { help }), '0'), 0)
  assert.equal(read(ratio('A', { help }), '.05'), 0.05)
  assert.equal(read(flag('A', { help }), 'false'), false)
  assert.equal(read(oneOf('A', ['x', 'y'], { help }), 'y'), 'y')
  assert.deepEqual(read(list('A', { help }), 'a:1, b:2'), ['a:1', 'b:2'])
  assert.equal(read(url('A', { help }), 'https://h/'), 'https://h')
  assert.equal(read(url('A', { help, protocols: ['ws', 'wss'] }), 'wss://h:1/p'), 'wss://h:1/p')
  assert.equal(read(secret('A', { help }), 'hush').reveal(), 'hush')
  assert.deepEqual(['250ms', '30s', '5m', '48h', '7d'].map((raw) => read(duration('A', { help }), raw)), [250, 30_000, 300_000, 172_800_000, 604_800_000])
  assert.deepEqual(['7', '7B', '64KiB', '4MiB', '2GiB'].map((raw) => read(bytes('A', { help }), raw)), [7, 7, 65_536, 4_194_304, 2_147_483_648])
})

test('malformed values are refused, never guessed', () => {
  const wrong: [Setting<unknown>, string[]][] = [
    [integer('A', { help, max: 10 }), ['11', '-1', '1.5', '1e1', '0x1', '1a', 'NaN', 'Infinity']],
    [port('A', { help }), ['65536', '80a', '-1']],
    [ratio('A', { help }), ['1.1', '-0.1', '5%', '', 'x'].filter(Boolean)],
    [flag('A', { help }), ['1', 'yes', 'TRUE']],
    [oneOf('A', ['x'], { help }), ['X', 'xx']],
    [list('A', { help }), ['a,,b', ',']],
    [url('A', { help }), ['host', 'ftp://h', 'localhost:80']],
    [secret('A', { help, minLength: 8 }), ['short']],
    [duration('A', { help, max: 1000 }), ['30', '2s', '1.5s', '-1s', 's']],
    [bytes('A', { help, min: 2 }), ['1', '1KB', '4 MiB', '-4', '1.5MiB']],
  ]
  for (const [setting, values] of wrong) for (const raw of values) assert.match(faults(() => read(setting, raw)), /^One setting is wrong:\n {2}A /, raw)
})

test('all faults are told at once, with what to do', () => {
  const message = faults(() =>
    readEnv(
      { LONGTAKE_PORT: '80a80', LONGTAKE_KEY: 'short', LONGTAKE_SPOL_DIR: '/tmp' },
      {
        port: port('LONGTAKE_PORT', { help: 'where browsers connect' }),
        key: secret('LONGTAKE_KEY', { help: 'signs tokens', minLength: 32 }),
        brokers: list('KAFKA_BROKERS', { help: 'host:port, with commas' }),
        spool: text('LONGTAKE_SPOOL_DIR', { help: 'folder', default: '/var' }),
      },
    ),
  )
  assert.equal(
    message,
    [
      '4 settings are wrong:',
      '  LONGTAKE_PORT is "80a80": it must be a whole number from 0 to 65535 (where browsers connect)',
      '  LONGTAKE_KEY must have at least 32 characters (it has 5) (signs tokens)',
      '  KAFKA_BROKERS is not set (host:port, with commas)',
      '  LONGTAKE_SPOL_DIR is no setting: is LONGTAKE_SPOOL_DIR meant?',
    ].join('\n'),
  )
})

test('of two that stand for each other exactly one must be set, which is told among the other faults', () => {
  const settings = { brokers: list('KAFKA_BROKERS', { help: 'host:port' }), ...azureSettings }
  const [string, account] = [{ AZURE_STORAGE_CONNECTION_STRING: 'a' }, { LONGTAKE_AZURE_ACCOUNT_URL: 'https://b' }]
  const brokers = { KAFKA_BROKERS: 'h:1' }
  assert.match(faults(() => readEnv({}, settings)), /^2 settings are wrong:\n {2}KAFKA_BROKERS is not set .*\n {2}set either AZURE_STORAGE_CONNECTION_STRING or LONGTAKE_AZURE_ACCOUNT_URL \(/)
  assert.match(faults(() => readEnv({ ...brokers, ...string, ...account }, settings)), /^One setting is wrong:\n {2}set either .*, not both \(/)
  assert.match(faults(() => readEnv({ ...brokers, LONGTAKE_AZURE_ACOUNT_URL: 'https://b' }, settings)), /^One setting is wrong:\n {2}LONGTAKE_AZURE_ACOUNT_URL is no setting/)
  assert.equal(readEnv({ ...brokers, ...string }, settings).azureConnectionString?.reveal(), 'a')
  assert.equal(readEnv({ ...brokers, ...account }, settings).azureAccountUrl, 'https://b')
})

test('defaults count only for what is unset or empty', () => {
  assert.equal(read(port('A', { help, default: 8080 }), undefined), 8080)
  assert.equal(read(port('A', { help, default: 8080 }), ' '), 8080)
  assert.equal(read(text('A', { help, default: undefined }), undefined), undefined)
  assert.match(faults(() => read(port('A', { help, default: 8080 }), 'x')), /A is "x"/)
})

test('variables of other services are no faults, and a near name is none when the right one is set', () => {
  const settings = { port: port('LONGTAKE_QUERY_PORT', { help, default: 8080 }) }
  assert.equal(readEnv({ LONGTAKE_GATEWAY_PORT: '8081' }, settings).port, 8080)
  assert.equal(readEnv({ LONGTAKE_QUERY_PROT: '1', LONGTAKE_QUERY_PORT: '2' }, settings).port, 2)
})

test('who hands an environment on finds near names as services would', () => {
  const names = ['LONGTAKE_QUERY_PORT', 'LONGTAKE_GATEWAY_PORT', 'LONGTAKE_API_KEY']
  assert.deepEqual(nearNames({ LONGTAKE_QUERY_PROT: '1', LONGTAKE_GATEWAY_PRT: '2', LONGTAKE_GATEWAY_PORT: '3', LONGTAKE_OTHER: 'x' }, names), ['LONGTAKE_QUERY_PROT is no setting: is LONGTAKE_QUERY_PORT meant?'])
})

test('a secret shows itself only when asked', () => {
  const config = readEnv({ A: 'hush' }, { key: secret('A', { help }) })
  for (const shown of [JSON.stringify(config), inspect(config, { depth: 9, showHidden: true }), String(config.key)]) assert.doesNotMatch(shown, /hush/)
})
