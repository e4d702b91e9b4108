import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { GROUPS } from '@longtake/contracts'
import { createProducer, ensureTopics, groupProgress, logExtents, readPartitionToEnd, readTable, type KafkaConfig } from '@longtake/kafka'
import { createLogger, kafkaConnection, kafkaSettings, readEnv, type Env } from '@longtake/service'
import { Conditions } from '@longtake/testkit'
import { startKafka } from '../local/kafka.ts'
import { freePort } from '../local/ports.ts'
import { readBacklog } from '../parked/replay.ts'

const kafkajs = createRequire(import.meta.url)('kafkajs') as typeof import('kafkajs')

const SESSION_MS = 3000
const SESSIONS = 3
const TOPIC = 'recordings.events'

/** A private authority with one certificate for the broker and one for its clients, all as PEM files. */
function certify(folder: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...key, '-days', '60', '-subj', '/CN=Test authority', '-keyout', 'ca.key', '-out', 'ca.pem')
  for (const [name, extension] of [['broker', 'subjectAltName=IP:127.0.0.1'], ['client', 'extendedKeyUsage=clientAuth']] as const) {
    writeFileSync(join(folder, `${name}.ext`), extension)
    openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`)
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '60', '-extfile', `${name}.ext`, '-out', `${name}.pem`)
  }
  writeFileSync(join(folder, 'broker.keystore'), readFileSync(join(folder, 'broker.key'), 'utf8') + readFileSync(join(folder, 'broker.pem'), 'utf8'))
}

const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** A client's certificate by itself. */
function selfSign(folder: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'stranger.key']
  execFileSync('openssl', ['req', '-x509', ...key, '-subj', '/CN=client', '-out', 'stranger.pem'], { cwd: folder, stdio: 'pipe' })
}

/** Hands out tokens without a signature, which Kafka's validator for tests accepts. */
async function startTokenEndpoint(): Promise<{ url: string; issued: () => number; close: () => void }> {
  let issued = 0
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const server = createServer((_, response) => {
    issued += 1
    const now = Math.floor(Date.now() / 1000)
    const token = `${encode({ alg: 'none' })}.${encode({ sub: 'service', iat: now, exp: now + 5 })}.`
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: 5 }))
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`, issued: () => issued, close: () => server.close() }
}

test('by SCRAM and by OAuth, over TLS with certificates of both sides, sessions end and are renewed under load', { timeout: 120_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'longtake-security-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  certify(folder)
  const [port, controllerPort, securePort] = [await freePort(), await freePort(), await freePort()]
  const listeners = [`PLAINTEXT://127.0.0.1:${port}`, `SECURE://127.0.0.1:${securePort}`]
  const module = 'org.apache.kafka.common.security'
  const kafka = await startKafka({
    dataDir: join(folder, 'kafka'),
    logFile: join(folder, 'kafka.log'),
    port,
    controllerPort,
    scramUsers: { alice: 'wonder' },
    properties: {
      listeners: [...listeners, `CONTROLLER://127.0.0.1:${controllerPort}`].join(','),
      'advertised.listeners': listeners.join(','),
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL',
      'sasl.enabled.mechanisms': 'SCRAM-SHA-512,OAUTHBEARER',
      'listener.name.secure.scram-sha-512.sasl.jaas.config': `${module}.scram.ScramLoginModule required;`,
      'listener.name.secure.oauthbearer.sasl.jaas.config': `${module}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': join(folder, 'broker.keystore'),
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.location': join(folder, 'ca.pem'),
      // Without the listener's prefix Kafka ignores it for SASL_SSL (KIP-684).
      'listener.name.secure.ssl.client.auth': 'required',
      'connections.max.reauth.ms': SESSION_MS,
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
      'allow.everyone.if.no.acl.found': true,
    },
  })
  t.after(() => kafka.stop())
  await ensureTopics({ brokers: [kafka.brokers], clientId: 'test' }, { partitions: 2, replicationFactor: 1 })
  const tokens = await startTokenEndpoint()
  t.after(tokens.close)

  const faults: unknown[] = []
  const connect = (login: Env): KafkaConfig => {
    const tls = { KAFKA_TLS: 'true', KAFKA_TLS_CA: join(folder, 'ca.pem'), KAFKA_TLS_CERT: join(folder, 'client.pem'), KAFKA_TLS_KEY: join(folder, 'client.key') }
    const config = readEnv({ KAFKA_BROKERS: `127.0.0.1:${securePort}`, ...tls, ...login }, kafkaSettings)
    const { log: _, ...connection } = kafkaConnection({ ...config, instance: 'test' }, 'test', createLogger({ service: 'test', level: 'silent' }))
    // What the clients mend by themselves is not to happen at all.
    const report = (fields: object, message: string) => void faults.push(message, fields)
    return { ...connection, log: { debug() {}, info() {}, warn: report, error: report } }
  }
  const scram = connect({ KAFKA_SASL_MECHANISM: 'scram-sha-512', KAFKA_USERNAME: 'alice', KAFKA_PASSWORD: 'wonder' })
  const oauth = connect({ KAFKA_SASL_MECHANISM: 'oauthbearer', KAFKA_OAUTH_TOKEN_URL: tokens.url, KAFKA_OAUTH_CLIENT_ID: 'service', KAFKA_OAUTH_CLIENT_SECRET: 'hush' })

  const conditions = new Conditions()
  const end = performance.now() + SESSIONS * SESSION_MS
  const sent: string[][] = [[], []]
  const read: string[][] = [[], []]
  const run = async (config: KafkaConfig, partition: number): Promise<void> => {
    await using producer = createProducer({ kafka: config })
    await using _table = readTable({
      kafka: config,
      topic: TOPIC,
      partitions: [partition],
      onFatal: (error) => void faults.push(error),
      onRecord: ({ value }) => {
        read[partition]?.push(value.toString())
        conditions.changed()
      },
    })
    const sender = async (name: number): Promise<void> => {
      for (let count = 0; performance.now() < end; count += 1) {
        const value = `${name} ${count} ${'x'.repeat(2000)}`
        await producer.send({ topic: TOPIC, partition, key: 's', value: Buffer.from(value) })
        sent[partition]?.push(value)
      }
    }
    await Promise.all(Array.from({ length: 8 }, (_, name) => sender(name)))
    await conditions.until('all to be read', () => read[partition]?.length === sent[partition]?.length, 20_000, () => `sent ${sent[partition]?.length}, read ${read[partition]?.length}`)
  }
  await Promise.all([run(scram, 0), run(oauth, 1)])

  assert.deepEqual(faults, [])
  assert.ok(tokens.issued() >= 2, 'tokens were renewed')
  for (const partition of [0, 1]) {
    assert.ok((sent[partition]?.length ?? 0) > 100)
    assert.deepEqual(read[partition]?.toSorted(), sent[partition]?.toSorted())
    const values: string[] = []
    await readPartitionToEnd({ kafka: scram, topic: TOPIC, partition, onRecord: ({ value }) => void values.push(value.toString()) })
    assert.equal(values.length, sent[partition]?.length, 'a record is in the log twice, or missing')
  }

  await t.test('who may write to a topic may ask what it holds, also without the right to describe the group that reads it', async () => {
    const admin = new kafkajs.Kafka({ brokers: [kafka.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
    await admin.connect()
    const { AclPermissionTypes, AclOperationTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs
    const acl = { host: '*', principal: 'User:alice', resourcePatternType: ResourcePatternTypes.LITERAL }
    const write = { ...acl, resourceType: AclResourceTypes.TOPIC, resourceName: TOPIC, operation: AclOperationTypes.WRITE, permissionType: AclPermissionTypes.ALLOW }
    const deny = { ...acl, resourceType: AclResourceTypes.GROUP, resourceName: GROUPS.blockWriter, operation: AclOperationTypes.ALL, permissionType: AclPermissionTypes.DENY }
    await admin.createAcls({ acl: [write, deny] })
    await admin.disconnect()
    await assert.rejects(groupProgress(scram, GROUPS.blockWriter, [TOPIC]), /[Gg]roup/)
    const extents = await logExtents(scram, TOPIC)
    assert.equal(extents.reduce((records, { start, end }) => records + Number(end - start), 0) >= sent.flat().length, true)
  })

  await t.test('parked records that may not be read are reported within half a minute', async () => {
    await assert.rejects(readBacklog(scram, [TOPIC]), /recordings\.events cannot be read: .*[Aa]uthoriz/)
  })

  await t.test('a certificate that was replaced is used by the next connections', async () => {
    const files = ['client.pem', 'client.key'].map((name) => join(folder, name))
    const before = files.map((name) => readFileSync(name))
    const isAccepted = async (): Promise<boolean> => {
      await using producer = createProducer({ kafka: { ...scram, log: silent } })
      const sent = producer.send({ topic: TOPIC, partition: 0, key: 's', value: null }, { deliveryTimeoutMs: 500 })
      return sent.then(() => true, () => false)
    }
    // Of another authority, which the broker does not trust.
    selfSign(folder)
    ;['stranger.pem', 'stranger.key'].forEach((name, index) => copyFileSync(join(folder, name), files[index]!))
    assert.equal(await isAccepted(), false)
    files.forEach((name, index) => writeFileSync(name, before[index]!))
    assert.equal(await isAccepted(), true)
  })

  await t.test('a broker of an authority that is not trusted is refused', async () => {
    const stranger: KafkaConfig = { ...scram, ssl: { ...(scram.ssl as object), ca: readFileSync(join(folder, 'client.pem'), 'utf8') } }
    await using producer = createProducer({ kafka: stranger })
    await assert.rejects(producer.send({ topic: TOPIC, partition: 0, key: 's', value: null }, { deliveryTimeoutMs: 500 }), { code: 'KAFKA_DELIVERY_TIMEOUT' })
  })
})
