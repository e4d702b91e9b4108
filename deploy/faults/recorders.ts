import { setTimeout as delay } from 'node:timers/promises'
import { concat, loadRecording, recut, seededRandom, syntheticChunks, TestClient, type Random, type RecordingName } from '@longtake/testkit'
import type { CreateSessionResponse } from '@longtake/contracts'
import { call, createSession } from '../test/sessions.ts'
import type { Stage } from './stage.ts'

/** How a session is recorded. */
export const HABITS = {
  steady: 'one client, one track, in order',
  'two tracks': 'webcam and screen of one client',
  shuffling: 'chunks come out of order and repeatedly',
  doubled: 'two clients record the same track at the same time',
  crashing: 'the client dies again and again, and comes back with its spool',
  reloading: 'likewise, and goes on with another part; the old one is closed as not clean',
  forgetful: 'chunks get lost before they are sent, and are declared so',
  vanishing: 'the client dies and never comes back; the backend ends the session',
} as const
export type Habit = keyof typeof HABITS
/** What their own client does to them says nothing about the fault. */
const SELF_TROUBLED: ReadonlySet<Habit> = new Set(['crashing', 'reloading', 'vanishing'])

const WEBM = 'video/webm;codecs=vp9,opus'
const REAL: Readonly<Record<string, readonly RecordingName[]>> = {
  webcam: ['chrome-webcam-vp9-opus', 'chrome-webcam-vp9-keyframe-2s', 'chrome-webcam-paused', 'chrome-requestdata-one-byte-chunks', 'firefox-webcam-vp8', 'chrome-audio-only', 'chrome-mp4'],
  screen: ['chrome-screen-vp9'],
}

/** What the recorders of one track record: each real recording once, in any order, then made ones, so that no two frames are the same. */
class Media {
  readonly #random: Random
  readonly #real: RecordingName[]

  constructor(track: string, habit: Habit, random: Random) {
    this.#random = random
    // Where MP4 has a hole, nothing behind it is ever shown: a matter of its own. Of sound alone there is no poster to wait for.
    const names = (REAL[track] ?? []).filter((name) => name !== (habit === 'steady' ? 'chrome-audio-only' : 'chrome-mp4'))
    this.#real = random.shuffle(names)
  }

  next(): { mimeType: string; chunks: Uint8Array[] } {
    const name = this.#real.pop()
    const seed = this.#random.between(0, 1e9)
    const { mimeType, chunks } = name === undefined ? { mimeType: WEBM, chunks: syntheticChunks({ durationMs: 15_000, seed }) } : loadRecording(name)
    const cut = recut(concat(chunks), seed)
    // Pieces that large leave too few moments to be hit; and the checker knows MP4 by its first chunk.
    return { mimeType, chunks: cut.length < FEWEST_CHUNKS || name === 'chrome-mp4' ? chunks : cut }
  }
}

/** Longer than every recording, so that the parts of a track never overlap. */
const PART_EVERY_MS = 40_000
const FEWEST_CHUNKS = 20
const CLIENT_OPTIONS = { autoReconnect: true, timeoutMs: 180_000, livenessMs: 5_000 }

export interface Pace {
  /** Between two chunks of a track, in ms, on average. */
  chunkEveryMs: number
}

export type Transport = 'websocket' | 'polling'

/** One session being recorded. */
export interface Recording {
  readonly session: CreateSessionResponse
  readonly habit: Habit
  readonly clients: readonly TestClient[]
  /** Whether it sends of itself all the time, so that it shows when acks flow. */
  readonly flows: boolean
  /** Resolves when every chunk made is acknowledged and the session's end is durable. */
  readonly ended: Promise<void>
  /** No pauses any more: what is left of each part is sent, then the session is finished. */
  end(): void
}

/** Starts to record; resolves when a first chunk of each client is acknowledged. */
export async function startRecording(stage: Stage, habit: Habit, seed: number, { pace, transport = 'websocket' }: { pace: Pace; transport?: Transport }): Promise<Recording> {
  const random = seededRandom(seed)
  // A connection that the fault before has made deaf may only be found out by this call.
  const session = await untilAnswered(() => createSession(stage.system))
  const url = transport === 'polling' ? stage.pollingUrl : stage.ingestUrl
  const open = () => TestClient.connect({ url, transport, session: session.id, token: session.ingest.token, ...CLIENT_OPTIONS })
  const clients = [await open(), ...(habit === 'doubled' ? [await open()] : [])]
  const ending = new AbortController()
  const tracks = habit === 'two tracks' ? ['webcam', 'screen'] : ['webcam']
  const startedAt = Date.now() - 3_600_000
  const takes = tracks.flatMap((track) => {
    const media = new Media(track, habit, random)
    return clients.map((client, index) => new Take({ client, track, habit, media, pace, random: seededRandom(random.between(0, 1e9)), startsAt: startedAt + index * 7_000 }))
  })
  const run = async (): Promise<void> => {
    if (habit === 'vanishing') {
      await Promise.all(takes.map((take) => take.vanish()))
      await aborted(ending.signal)
      await untilAnswered(() => call(stage.system, `/v1/sessions/${session.id}/finish`, { method: 'POST' }))
      return
    }
    await Promise.all(takes.map((take) => take.run(ending.signal)))
    for (const client of clients) {
      await client.allAcknowledged()
      await client.finish()
    }
  }
  const ended = run()
  // Whoever waits for it is told; until then it is no unhandled rejection.
  ended.catch(() => undefined)
  await Promise.race([Promise.all(takes.map((take) => take.begun)), ended])
  return { session, habit, clients, ended, flows: !SELF_TROUBLED.has(habit), end: () => ending.abort() }
}

interface TakeOptions {
  client: TestClient
  track: string
  habit: Habit
  media: Media
  pace: Pace
  random: Random
  /** When its first part is said to have started, in ms since the epoch. */
  startsAt: number
}

/** One client recording one track, part after part. */
class Take {
  readonly #client: TestClient
  readonly #track: string
  readonly #habit: Habit
  readonly #media: Media
  readonly #pace: Pace
  readonly #random: Random
  #startsAt: number
  readonly #begun = Promise.withResolvers<void>()

  constructor({ client, track, habit, media, pace, random, startsAt }: TakeOptions) {
    this.#client = client
    this.#track = track
    this.#habit = habit
    this.#media = media
    this.#pace = pace
    this.#random = random
    this.#startsAt = startsAt
  }

  get begun(): Promise<void> {
    return this.#begun.promise
  }

  async run(ending: AbortSignal): Promise<void> {
    while (!ending.aborted) {
      const { part, chunks } = await this.#open()
      const made = await this.#send(part, chunks, ending)
      await this.#client.close(part, { chunks: made, clean: made === chunks.length })
    }
  }

  async vanish(): Promise<void> {
    const { part, chunks } = await this.#open()
    for (const [seq, bytes] of chunks.slice(0, 12).entries()) await this.#client.sendAll(part, [bytes], seq)
    await this.#client.acknowledged(part, 0)
    await this.#client.crash()
    this.#begun.resolve()
  }

  async #open(): Promise<{ part: string; chunks: Uint8Array[] }> {
    const { mimeType, chunks } = this.#media.next()
    const startedAt = new Date(this.#startsAt).toISOString()
    this.#startsAt += PART_EVERY_MS
    return { part: await this.#client.open({ track: this.#track, mimeType, startedAt }), chunks }
  }

  /** Returns how many chunks the part got: all, unless the page was reloaded. */
  async #send(part: string, chunks: readonly Uint8Array[], ending: AbortSignal): Promise<number> {
    const forgotten = this.#habit === 'forgetful' ? this.#forget(chunks.length) : []
    const crashes = this.#habit === 'crashing' || this.#habit === 'reloading' ? [this.#random.between(2, chunks.length - 1), this.#random.between(2, chunks.length - 1)] : []
    for (const [index, seq] of this.#order(chunks.length).entries()) {
      if (forgotten.includes(seq)) continue
      await this.#client.sendAll(part, [chunks[seq]!], seq)
      if (this.#habit === 'shuffling' && this.#random.chance(0.3)) await this.#client.repeat(part, seq)
      if (index === 3) await this.#client.acknowledged(part, seq).then(this.#begun.resolve)
      if (crashes.includes(index)) {
        await this.#crash()
        if (this.#habit === 'reloading') return seq + 1
      }
      if (!ending.aborted) await delay(this.#random.next() * 2 * this.#pace.chunkEveryMs, undefined, { signal: ending }).catch(() => undefined)
    }
    for (const seq of forgotten) await this.#client.lost(part, seq, seq, 'spool-cleared')
    return chunks.length
  }

  /** Dies without a word, and comes back after a while; the connection may fail at first. */
  async #crash(): Promise<void> {
    await this.#client.crash()
    await delay(this.#random.between(0, 1500))
    await untilAnswered(() => this.#client.reconnect())
  }

  /** A few in a row, never the first or the last of a part. */
  #forget(length: number): number[] {
    const from = this.#random.between(1, length - 5)
    return Array.from({ length: this.#random.between(1, 3) }, (_, index) => from + index)
  }

  /** In order, or shuffled among its neighbours. */
  #order(length: number): number[] {
    const seqs = Array.from({ length }, (_, seq) => seq)
    if (this.#habit !== 'shuffling') return seqs
    const order: number[] = []
    while (seqs.length > 0) order.push(...this.#random.shuffle(seqs.splice(0, this.#random.between(1, 8))))
    return order
  }
}

/** As whoever depends on a service does it: again until it answers. Gives up after three minutes. */
export async function untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + 180_000
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (Date.now() > deadline) throw error
      await delay(200)
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
