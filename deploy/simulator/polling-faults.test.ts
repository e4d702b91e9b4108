import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTick } from 'node:timers/promises'
import type { ReceiveHead, SendHead } from '@longtake/contracts'
import { seededRandom, type Random } from '@longtake/testkit'
import { PollingTransport } from '../../libs/recorder/src/upload/polling-transport.ts'
import { LIMITS } from '../../services/gateway/src/limits.ts'
import type { LiveConnection } from '../../services/gateway/src/live-connection.ts'
import { PollingConnection, type Exchange } from '../../services/gateway/src/polling-connection.ts'

const FRAMES = 60
/** One less than the attempts of the recorder at one request. */
const MOST_FAULTS_IN_A_ROW = 4
const PAUSES = { after: (_ms: number, task: () => void) => (setImmediate(task), () => undefined) }
/** Deadlines never pass here, and retries come at once. */
const timers = { after: (ms: number, task: () => void) => (ms > 10_000 ? () => undefined : PAUSES.after(ms, task)) }

type Fault = 'request lost' | 'answer lost' | 'body cut' | 'sent twice'

/** The recorder's transport and the gateway's connection, and between them a network with faults from a seed. */
class Network {
  readonly #random: Random
  readonly #faultsInARow = new Map<string, number>()
  /** Text frames as numbers, binary ones as their length. */
  readonly toGateway: number[] = []
  readonly toClient: string[] = []
  readonly closes: number[] = []
  connection: PollingConnection | undefined

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  readonly fetch = async (url: string, { body, signal }: RequestInit): Promise<Response> => {
    const operation = /\/http\/(\w+)\?/.exec(url)![1]!
    await this.#delay()
    const fault = this.#fault(operation)
    if (fault === 'request lost') throw new TypeError('Failed to fetch')
    const bytes = Buffer.from(body as Uint8Array)
    const end = bytes.indexOf(10)
    const head = JSON.parse(bytes.toString('utf8', 0, end)) as SendHead & ReceiveHead
    const rest = bytes.subarray(end + 1)
    if (fault === 'body cut') {
      this.#upload(head.offset, rest.subarray(0, this.#random.between(0, rest.length)))
      throw new TypeError('Failed to fetch')
    }
    if (fault === 'sent twice') await this.#request(operation, head, rest)
    const answer = await this.#request(operation, head, rest, signal ?? undefined)
    await this.#delay()
    if (fault === 'answer lost') throw new TypeError('Failed to fetch')
    return new Response(answer)
  }

  #request(
    operation: string,
    head: SendHead & ReceiveHead,
    rest: Buffer,
    signal?: AbortSignal,
  ): Promise<string> | string {
    if (operation === 'send') {
      this.#upload(head.offset, rest)
      return this.connection!.sendAnswer
    }
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const exchange: Exchange = { answer: (_status, body) => resolve(body) }
    signal?.addEventListener('abort', () => {
      this.connection?.abandoned(exchange)
      reject(new DOMException('aborted', 'AbortError'))
    })
    if (operation === 'open') this.#open(exchange)
    else assert.equal(this.connection!.receive(head.after, exchange, 0), undefined)
    // Sent twice, the first of both is answered when the second comes, and nobody reads it.
    return signal === undefined ? '' : promise
  }

  /** In pieces, as TCP delivers them. */
  #upload(offset: number, bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const piece = Buffer.from(bytes.subarray(at, at + this.#random.between(1, 5000)))
      assert.equal(this.connection!.receiveBytes(offset + at, piece, 0), undefined)
      at += piece.length
      piece.fill(0)
    }
  }

  #open(exchange: Exchange): void {
    const connection = new PollingConnection({ session: 's', client: 'c', expiresAt: 0 }, LIMITS, exchange, 0)
    connection.attach({
      isOpen: true,
      receiveRepeated: () => undefined,
      receiveText: (frame: Uint8Array) => {
        this.toGateway.push(Number(Buffer.from(frame).toString()))
        connection.send(`answer ${Buffer.from(frame).toString()}`)
      },
      receiveBinary: (frame: Uint8Array) => this.toGateway.push(frame.length),
      gone: () => undefined,
    } as unknown as LiveConnection)
    connection.send('welcome')
    this.connection = connection
  }

  #fault(operation: string): Fault | undefined {
    const inARow = this.#faultsInARow.get(operation) ?? 0
    // The first request is not repeated: without an answer there is no connection.
    const strikes = operation !== 'open' && inARow < MOST_FAULTS_IN_A_ROW && this.#random.chance(0.4)
    const kinds: Fault[] = [
      'request lost',
      'answer lost',
      'sent twice',
      ...(operation === 'send' ? ['body cut' as const] : []),
    ]
    const fault = strikes ? this.#random.pick(kinds) : undefined
    this.#faultsInARow.set(operation, fault === undefined ? 0 : inARow + 1)
    return fault
  }

  async #delay(): Promise<void> {
    for (let ticks = this.#random.between(0, 3); ticks > 0; ticks--) await nextTick()
  }
}

test('whatever requests and answers are lost, cut or sent twice, each frame arrives once and in order', async () => {
  const realFetch = globalThis.fetch
  try {
    for (let seed = 0; seed < 60; seed++) {
      const network = new Network(seed)
      const random = seededRandom(seed + 1000)
      globalThis.fetch = network.fetch as typeof fetch
      const events = {
        text: (frame: string) => network.toClient.push(frame),
        closed: (code: number) => network.closes.push(code),
      }
      const transport = new PollingTransport('ws://g/v1/ingest/s?client=c', 'token', events, timers)
      const sent: number[] = []
      for (let frame = 0; frame < FRAMES; frame++) {
        const bytes = random.chance(0.3) ? random.between(100, 200_000) : undefined
        sent.push(bytes ?? frame)
        transport.send(bytes === undefined ? String(frame) : new Uint8Array(bytes))
        if (random.chance(0.3)) await nextTick()
      }
      const answers = ['welcome', ...sent.filter((frame) => frame < FRAMES).map((frame) => `answer ${frame}`)]
      for (let ticks = 0; network.toClient.length < answers.length || transport.bufferedBytes > 0; ticks++) {
        assert.ok(
          ticks < 20_000,
          `seed ${seed}: ${network.toGateway.length} of ${FRAMES} frames, ${network.toClient.length} answers`,
        )
        await nextTick()
      }
      network.connection!.end(1012, 'REC_RESTARTING')
      for (let ticks = 0; network.closes.length === 0 && ticks < 1000; ticks++) await nextTick()
      assert.deepEqual(network.toGateway, sent, `seed ${seed}`)
      assert.deepEqual(network.toClient, answers, `seed ${seed}`)
      assert.deepEqual(network.closes, [1012], `seed ${seed}`)
    }
  } finally {
    globalThis.fetch = realFetch
  }
})
