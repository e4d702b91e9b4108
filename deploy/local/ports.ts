import { createServer } from 'node:net'
import { SetupError } from './setup-error.ts'

// Below the range from which Linux and macOS take the ports of outgoing connections: a port found free here
// is not taken by someone's client socket before its server has started.
const FIRST = 15_000
const LAST = 32_000

/** Whether 127.0.0.1:`port` can be listened on right now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** A free port on 127.0.0.1, chosen at random so that several callers seldom meet. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST))
    if (await isFree(port)) return port
  }
  throw new SetupError(`No free port between ${FIRST} and ${LAST} on 127.0.0.1: end some of the programs that listen there.`)
}
