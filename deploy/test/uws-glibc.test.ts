import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { withoutNewerGlibc } from '../local/elf-glibc.ts'
import { prepareUws, uwsBinary } from '../local/uws-glibc.ts'

const directory = dirname(uwsBinary())

for (const file of ['uws_linux_x64_137.node', 'uws_linux_arm64_137.node']) {
  test(`${file}: nothing but the three C23 twins and their version changes`, () => {
    const original = readFileSync(join(directory, file))
    const changed = withoutNewerGlibc(original)
    assert.equal(changed.length, original.length)
    let bytes = 0
    for (const [at, byte] of changed.entries()) if (byte !== original[at]) bytes += 1
    assert.ok(bytes > 0 && bytes <= 3 * (4 + 2) + 4 + 2, `${bytes} bytes differ`)
    assert.throws(() => withoutNewerGlibc(changed), /does not ask for GLIBC_2\.38/)
  })
}

test('what is no ELF library is refused', () => {
  assert.throws(() => withoutNewerGlibc(Buffer.alloc(4096)), /ELF/)
})

test('the gateway can load uWebSockets.js here, and it serves a WebSocket', async (t) => {
  prepareUws(() => undefined)
  const { uws } = await import('../../services/gateway/src/uws.ts')
  assert.ok('DeclarativeResponse' in uws, 'what the package adds in JavaScript is there too')
  const app = uws.App().ws('/*', {
    maxPayloadLength: 1 << 20,
    message: (socket, message, isBinary) => {
      socket.send(Buffer.from(message.slice(0)), isBinary)
    },
  })
  const listening = await new Promise<Parameters<typeof uws.us_listen_socket_close>[0] | false>((resolve) => app.listen('127.0.0.1', 0, resolve))
  assert.ok(listening)
  t.after(() => app.close())

  const client = new WebSocket(`ws://127.0.0.1:${uws.us_socket_local_port(listening)}/`)
  client.binaryType = 'arraybuffer'
  const payload = Uint8Array.from({ length: 70_000 }, (_, index) => index % 251)
  const answer = await new Promise<ArrayBuffer>((resolve, reject) => {
    client.addEventListener('open', () => client.send(payload))
    client.addEventListener('message', (event) => resolve(event.data as ArrayBuffer))
    client.addEventListener('error', () => reject(new Error('the socket failed')))
  })
  client.close()
  assert.deepEqual(new Uint8Array(answer), payload)
})
