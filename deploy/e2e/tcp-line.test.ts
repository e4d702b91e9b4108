import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import { TcpLine } from './tcp-line.ts'

/** A server that says back what it hears, behind a line. */
async function echo() {
  const heard: string[] = []
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => {
      heard.push(bytes.toString())
      socket.write(bytes)
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const line = await TcpLine.to((server.address() as AddressInfo).port)
  const open = async (): Promise<Socket> => {
    const socket = connect(line.port, '127.0.0.1')
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    return socket
  }
  return { heard, sockets, line, open, async [Symbol.asyncDispose]() {
    await line[Symbol.asyncDispose]()
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => {
      server.close(resolve)
    })
  } }
}

/** What comes back of `text`. */
async function say(socket: Socket, text: string): Promise<string> {
  const answer = once(socket, 'data')
  socket.write(text)
  return String((await answer)[0])
}

test('a whole line passes everything on, both ends included', async () => {
  await using place = await echo()
  const socket = await place.open()
  assert.equal(await say(socket, 'a'), 'a')
  socket.end()
  await once(socket, 'close')
})

test('a cut line breaks its connections and lets none be made, until it is mended', async () => {
  await using place = await echo()
  const socket = await place.open()
  await say(socket, 'a')
  place.line.cut()
  await once(socket, 'close')
  await once(await place.open(), 'close')
  place.line.mend()
  assert.equal(await say(await place.open(), 'b'), 'b')
})

test('answers that get lost leave their connection mute for good; a new one is whole after mending', async () => {
  await using place = await echo()
  const socket = await place.open()
  const got: string[] = []
  await say(socket, 'a')
  socket.on('data', (bytes: Buffer) => got.push(bytes.toString()))
  place.line.loseAnswers()
  socket.write('b')
  place.line.mend()
  while (!place.heard.includes('b')) await once(place.sockets[0]!, 'data')
  assert.equal(await say(await place.open(), 'c'), 'c')
  assert.deepEqual(got, [])
})

test('of requests that get lost the server hears nothing, not even the end of the connection', async () => {
  await using place = await echo()
  const socket = await place.open()
  await say(socket, 'a')
  place.line.loseRequests()
  socket.write('b')
  socket.destroy()
  await once(socket, 'close')
  place.line.mend()
  assert.equal(await say(await place.open(), 'c'), 'c')
  assert.deepEqual(place.heard, ['a', 'c'])
  assert.equal(place.sockets[0]!.readableEnded || place.sockets[0]!.destroyed, false)
})

test('a slow and a narrow line pass everything on, in order, later', async () => {
  await using place = await echo()
  const socket = await place.open()
  const begun = performance.now()
  place.line.slow(50)
  assert.equal(await say(socket, 'a'), 'a')
  assert.ok(performance.now() - begun >= 95)
  place.line.narrow(20_000)
  const large = Buffer.alloc(3000, 7).toString()
  let got = ''
  socket.on('data', (bytes: Buffer) => (got += bytes.toString()))
  socket.write(large)
  while (got.length < large.length) await once(socket, 'data')
  assert.equal(got, large)
  assert.ok(performance.now() - begun >= 95 + 290)
})
