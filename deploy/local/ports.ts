import { createServer, type Server } from 'node:net'
import { SetupError } from './setup-error.ts'

// Below the range from which Linux and macOS take the ports of outgoing connections: a port found free here
// is not taken by someone's client socket before its server has started.
const FIRST = 15_000
const LAST = 32_000
/** Ports are given out of blocks of so many. */
const BLOCK = 100

/** Whether 127.0.0.1:`port` can be listened on right now. */
export async function isFree(port: number): Promise<boolean> {
  const server = await listen(port)
  if (server === null) return false
  return new Promise((resolve) => {
    server.close(() => resolve(true))
  })
}

let block: Promise<number[]> | undefined

/**
 * A free port on 127.0.0.1 that this process gets no second time, and no other process that asks here gets as long as
 * this one lives: also while nobody listens on it, because its server has not started yet or is down for a while.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const present = (block ??= claimBlock())
    const port = (await present).shift()
    if (port !== undefined && (await isFree(port))) return port
    if (port === undefined && block === present) block = undefined
  }
}

/** A block is whose process listens on its first port. */
async function claimBlock(): Promise<number[]> {
  const blocks = (LAST - FIRST) / BLOCK
  for (let attempt = 0; attempt < blocks; attempt += 1) {
    const first = FIRST + BLOCK * Math.floor(Math.random() * blocks)
    const server = await listen(first)
    if (server === null) continue
    server.unref()
    return Array.from({ length: BLOCK - 1 }, (_, index) => first + 1 + index)
  }
  throw new SetupError(`No free port between ${FIRST} and ${LAST} on 127.0.0.1: end some of the programs that listen there.`)
}

function listen(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server))
  })
}
