import crypto from 'node:crypto'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
import timersPromises from 'node:timers/promises'
import type { Random } from '@longtake/testkit'
import { SimWebSocket } from './websocket.ts'
import { BEGINNING_MS, currentProcess, type VirtualTime } from './virtual-time.ts'

/** What the simulated process finds in place of the operating system. */
export interface Surroundings {
  readonly time: VirtualTime
  readonly random: Random
  connect(address: { host: string; port: number }, onConnect: () => void): net.Socket
}

let surroundings: Surroundings | undefined

/** From now on time, chance and network are these; one simulation runs at a time. */
export function enter(next: Surroundings): void {
  surroundings = next
}

const world = (): Surroundings => {
  if (surroundings === undefined) throw new Error('no simulation runs')
  return surroundings
}

class SimTimeout {
  #cancel: () => void
  readonly #again: () => () => void

  constructor(schedule: () => () => void) {
    this.#again = schedule
    this.#cancel = schedule()
  }

  clear(): void {
    this.#cancel()
  }

  refresh(): this {
    this.#cancel()
    this.#cancel = this.#again()
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  hasRef(): boolean {
    return true
  }

  [Symbol.dispose](): void {
    this.clear()
  }
}

/** As Node: whole milliseconds, at least one. */
const wholeMs = (ms: number | undefined): number => (ms !== undefined && ms >= 1 ? Math.trunc(ms) : 1)

type Callback = (...args: unknown[]) => void

function setTimeoutVirtual(callback: Callback, ms?: number, ...args: unknown[]): SimTimeout {
  const { time } = world()
  const owner = currentProcess()
  return new SimTimeout(() => time.after(wholeMs(ms), () => callback(...args), owner))
}

function setIntervalVirtual(callback: Callback, ms?: number, ...args: unknown[]): SimTimeout {
  const { time } = world()
  const owner = currentProcess()
  let cancel = (): void => undefined
  const schedule = (): (() => void) => {
    const next = (): void => {
      cancel = time.after(
        wholeMs(ms),
        () => {
          next()
          callback(...args)
        },
        owner,
      )
    }
    next()
    return () => cancel()
  }
  return new SimTimeout(schedule)
}

function setImmediateVirtual(callback: Callback, ...args: unknown[]): SimTimeout {
  const { time } = world()
  const owner = currentProcess()
  return new SimTimeout(() => time.after(0, () => callback(...args), owner))
}

const clear = (timer: SimTimeout | undefined | null): void => timer?.clear()

/** `setTimeout` of node:timers/promises. */
function delay(ms?: number, value?: unknown, { signal }: { signal?: AbortSignal } = {}): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const aborted = (): Error => new DOMException('The operation was aborted', 'AbortError')
    if (signal?.aborted) return reject(aborted())
    const onAbort = (): void => {
      timer.clear()
      reject(aborted())
    }
    const timer = setTimeoutVirtual(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve(value)
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

const RealDate = Date
class VirtualDate extends RealDate {
  constructor(...args: [] | [number | string | Date]) {
    if (args.length === 0) super(VirtualDate.now())
    else super(...(args as [number]))
  }

  static override now(): number {
    return surroundings === undefined ? RealDate.now() : Math.floor(BEGINNING_MS + surroundings.time.now)
  }
}

function randomBytes(size: number): Buffer {
  return Buffer.from(world().random.bytes(size))
}

function randomUUID(): string {
  const bytes = randomBytes(16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

function getRandomValues<T extends NodeJS.ArrayBufferView>(view: T): T {
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(world().random.bytes(view.byteLength))
  return view
}

const timeoutSignal = (ms: number): AbortSignal => {
  const controller = new AbortController()
  setTimeoutVirtual(() => controller.abort(new DOMException('The operation timed out', 'TimeoutError')), ms)
  return controller.signal
}

/** Node keeps those of its own, and so every world that ever was, until they abort. */
const anySignal = (signals: Iterable<AbortSignal>): AbortSignal => {
  const controller = new AbortController()
  for (const signal of signals) {
    const abort = (): void => controller.abort(signal.reason)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  }
  return controller.signal
}

const alloc = Buffer.alloc.bind(Buffer)
const POOLED_BYTES = 4096
Buffer.poolSize = 512 * 1024

/** kafkajs makes several small buffers for each request; memory of their own is most of what that costs. */
const pooledAlloc: typeof alloc = (size, fill, encoding) =>
  fill === undefined && size <= POOLED_BYTES ? Buffer.allocUnsafe(size).fill(0) : alloc(size, fill, encoding)

/** Programs find them as globals and in `node:timers`. */
const timerFunctions = {
  setTimeout: setTimeoutVirtual,
  setInterval: setIntervalVirtual,
  setImmediate: setImmediateVirtual,
  clearTimeout: clear,
  clearInterval: clear,
  clearImmediate: clear,
}

/**
 * Replaces what a program gets from its operating system, once for this whole process: timers, clocks, chance and TCP.
 * It must run before the services are imported. Production code needs no parameter for any of these and knows nothing
 * of it; nothing else in this process may need the real ones afterwards.
 */
function install(): void {
  Object.assign(globalThis, { Date: VirtualDate, ...timerFunctions })
  Buffer.alloc = pooledAlloc
  // What a recorder finds in its page.
  const nothing = (): void => undefined
  const document = { visibilityState: 'visible', addEventListener: nothing, removeEventListener: nothing }
  // Where WebSockets fail a recorder tries HTTP polling, which this network does not carry.
  const fetch = (): Promise<never> => Promise.reject(new TypeError('Failed to fetch'))
  Object.assign(globalThis, {
    WebSocket: SimWebSocket,
    fetch,
    document,
    addEventListener: nothing,
    removeEventListener: nothing,
  })
  performance.now = () => world().time.now
  Math.random = () => world().random.next()
  AbortSignal.timeout = timeoutSignal
  AbortSignal.any = anySignal
  Object.assign(crypto, { randomBytes, randomUUID })
  Object.defineProperties(globalThis.crypto, {
    getRandomValues: { value: getRandomValues },
    randomUUID: { value: randomUUID },
  })
  Object.assign(timersPromises, { setTimeout: delay, setImmediate: (value?: unknown) => delay(0, value) })
  const connect = (address: { host: string; port: number }, onConnect: () => void) =>
    world().connect(address, onConnect)
  Object.assign(net, { connect, createConnection: connect })
  const timers = createRequire(import.meta.url)('node:timers') as object
  Object.assign(timers, timerFunctions)
  syncBuiltinESMExports()
}

install()
