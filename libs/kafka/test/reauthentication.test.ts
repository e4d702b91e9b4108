import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { requireKafkajs } from '../src/kafkajs-patches.ts'
import { isReauthenticationDue, type SaslConnection } from '../src/reauthentication.ts'
import { SaslBroker } from './fixtures/sasl-broker.ts'

interface Connection extends Omit<SaslConnection, 'send' | 'authenticate'> {
  setVersions(versions: Record<number, { minVersion: number; maxVersion: number }>): void
  setSupportAuthenticationProtocol(isSupported: boolean): void
  connect(): Promise<void>
  send(protocol: object): Promise<number>
}
const ConnectionClass = requireKafkajs('kafkajs/src/network/connection') as new (options: object) => Connection
const Encoder = requireKafkajs('kafkajs/src/protocol/encoder') as new () => { writeInt32(value: number): object }
const HEARTBEAT = 12

async function connectTo(port: number): Promise<Connection> {
  const logger = { namespace: () => logger, debug() {}, info() {}, warn() {}, error() {} }
  const socketFactory = ({ onConnect }: { onConnect: () => void }): Socket => connect({ port, host: '127.0.0.1' }, onConnect)
  const sasl = { mechanism: 'plain', username: 'user', password: 'word' }
  const connection = new ConnectionClass({ host: '127.0.0.1', port, logger, socketFactory, sasl, requestTimeout: 5000, connectionTimeout: 5000 })
  connection.setVersions({ 17: { minVersion: 0, maxVersion: 1 }, 36: { minVersion: 0, maxVersion: 1 } })
  connection.setSupportAuthenticationProtocol(true)
  await connection.connect()
  return connection
}

/** Resolves with the number in the answer: that of this request, unless answers were mixed up. */
const ask = (connection: Connection, number: number): Promise<number> =>
  connection.send({
    request: { apiKey: HEARTBEAT, apiVersion: 0, apiName: 'Heartbeat', encode: () => Promise.resolve(new Encoder().writeInt32(number)) },
    response: { decode: (bytes: Buffer) => Promise.resolve(bytes.readInt32BE(0)), parse: (decoded: number) => Promise.resolve(decoded) },
  })

test('a session is renewed near its end, which a short one has no 10 seconds before', () => {
  assert.ok(!isReauthenticationDue(1e9, 0, 10_000), 'without an end')
  assert.deepEqual([3_589_999, 3_590_000].map((age) => isReauthenticationDue(age, 3_600_000, 10_000)), [false, true])
  assert.deepEqual([2549, 2550].map((age) => isReauthenticationDue(age, 3000, 10_000)), [false, true])
})

test('sessions are renewed under load with no request within the exchange, and every answer reaches its own request', { timeout: 20_000 }, async () => {
  await using broker = await SaslBroker.start(200)
  const connection = await connectTo(broker.port)
  let answered = 0
  const worker = async (name: number): Promise<void> => {
    for (let count = 0; broker.sessions < 4; count += 1) {
      const number = name * 100_000 + count
      assert.equal(await ask(connection, number), number)
      answered += 1
    }
  }
  // Several requests are under way at any time; workers begin out of step.
  await Promise.all([0, 1, 2, 3, 4].map((name) => delay(name * 3).then(() => worker(name))))
  assert.deepEqual(broker.violations, [])
  assert.ok(answered > 20)
  await connection.disconnect()
})

test('a first authentication that is refused closes the connection, for the next one to begin anew', async () => {
  await using broker = await SaslBroker.start(0)
  broker.rejectsPasswords = true
  const connection = await connectTo(broker.port)
  await assert.rejects(ask(connection, 1), { name: 'KafkaJSSASLAuthenticationError' })
  broker.rejectsPasswords = false
  await connection.connect()
  assert.equal(await ask(connection, 2), 2)
  assert.deepEqual(broker.violations, [])
  await connection.disconnect()
})

test('a renewal that is refused fails the requests that waited for it, and closes the connection', { timeout: 20_000 }, async () => {
  await using broker = await SaslBroker.start(100)
  const connection = await connectTo(broker.port)
  assert.equal(await ask(connection, 1), 1)
  broker.rejectsPasswords = true
  await delay(100)
  const [one, two] = await Promise.allSettled([ask(connection, 2), ask(connection, 3)])
  assert.deepEqual([one.status, two.status], ['rejected', 'rejected'])
  assert.equal(connection.authenticatedAt, null)
  broker.rejectsPasswords = false
  await connection.connect()
  assert.equal(await ask(connection, 4), 4)
  await connection.disconnect()
})
