import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { test, type TestContext } from 'node:test'
import { azuriteConnection } from '../local/azurite.ts'
import { azuriteProbe, kafkaProbe } from '../local/probes.ts'

const DEADLINE_MS = 300

async function storageThat(t: TestContext, answer: RequestListener): Promise<Parameters<typeof azuriteProbe>[0]> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await new Promise((resolve) => {
    server.once('listening', resolve)
  })
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return { connectionString: azuriteConnection(port), url: `http://127.0.0.1:${port}/devstoreaccount1` }
}

test('a storage that takes a write works', async (t) => {
  const blobs: string[] = []
  const storage = await storageThat(t, (request, response) => {
    if (request.method === 'PUT') blobs.push(new URL(request.url ?? '', 'http://h').pathname)
    response.writeHead(201, { 'x-ms-request-id': '1' }).end()
  })
  const probe = azuriteProbe(storage, DEADLINE_MS)
  assert.deepEqual([await probe(), await probe()], ['works', 'works'])
  assert.deepEqual(blobs, ['/devstoreaccount1/longtake-probe', '/devstoreaccount1/longtake-probe/probe', '/devstoreaccount1/longtake-probe/probe'])
})

test('one that answers each write with an error rejects', async (t) => {
  const storage = await storageThat(t, (request, response) => response.writeHead(request.method === 'PUT' ? 500 : 200).end())
  assert.equal(await azuriteProbe(storage, DEADLINE_MS)(), 'rejects')
})

test('one that answers reads but completes no write is slow; one that answers nothing, or is not there, is silent', async (t) => {
  const slow = await storageThat(t, (request, response) => request.method === 'GET' && response.writeHead(403).end())
  assert.equal(await azuriteProbe(slow, DEADLINE_MS)(), 'slow')
  const silent = await storageThat(t, () => undefined)
  assert.equal(await azuriteProbe(silent, DEADLINE_MS)(), 'silent')
  assert.equal(await azuriteProbe({ connectionString: azuriteConnection(1), url: 'http://127.0.0.1:1' }, DEADLINE_MS)(), 'silent')
})

test('a Kafka that accepts connections and answers nothing, or is not there, is silent', async (t) => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined)
    t.after(() => socket.destroy())
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => {
    server.once('listening', resolve)
  })
  t.after(() => server.close())
  assert.equal(await kafkaProbe(`127.0.0.1:${(server.address() as AddressInfo).port}`, DEADLINE_MS)(), 'silent')
  assert.equal(await kafkaProbe('127.0.0.1:1', DEADLINE_MS)(), 'silent')
})
