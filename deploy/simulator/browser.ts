import { Uplink } from '../../libs/recorder/src/upload/uplink.ts'
import type { Action } from '../../libs/recorder/src/upload/action.ts'
import { UploadSession } from '../../libs/recorder/src/upload/upload-session.ts'
import { restorePart } from '../../libs/recorder/src/recovery/recovery-plan.ts'
import type { Spool } from '../../libs/recorder/src/spool/spool.ts'
import type { WorkerTimers } from '../../libs/recorder/src/worker-timers.ts'
import { mediaOf, type Media } from './media.ts'
import type { ClientPlan, PageEvent, SessionPlan } from './plan.ts'
import { SimSpool } from './world/spool.ts'
import { SimProcess } from './world/virtual-time.ts'
import type { World } from './world/world.ts'

interface RunningPart {
  readonly track: string
  readonly part: string
  readonly media: Media
  seq: number
}

const timers = {
  isThrottled: false,
  after(ms: number, task: () => void): () => void {
    const timer = setTimeout(task, ms)
    return () => clearTimeout(timer)
  },
  every(ms: number, task: () => void): () => void {
    const timer = setInterval(task, ms)
    return () => clearInterval(timer)
  },
} as unknown as WorkerTimers

/** One recorder of a session over all its pages: it records, dies, comes back and uploads what it left. */
export class Browser {
  readonly #world: World
  readonly #session: SessionPlan
  readonly #plan: ClientPlan
  readonly #name: string
  #pages = 0
  #page: SimProcess
  /** Milliseconds; the recording ends here, whatever page it is on. */
  readonly #endsAt: number
  #isRecording = false
  #parts: RunningPart[] = []
  #upload: UploadSession | null = null
  #uplink: Uplink | null = null
  #spool: SimSpool | null = null
  /** What no page has uploaded wholly yet. */
  readonly #left = new Set<SimSpool>()
  /** Captures and ends of parts, one after another. */
  #turn: Promise<void> = Promise.resolve()
  #refuseNext = false
  /** Frames sent while this is in the future get nowhere. */
  offlineUntil = 0

  constructor(world: World, session: SessionPlan, plan: ClientPlan, index: number) {
    this.#world = world
    this.#session = session
    this.#plan = plan
    this.#name = `${session.id}/${index + 1}`
    this.#page = this.#newPage()
    this.#endsAt = session.startsAt + plan.joinsAt + plan.recordsMs
  }

  /** Whether everything that it recorded is durable, or known to be lost. */
  get isSettled(): boolean {
    return this.#left.size === 0 && !this.#isRecording
  }

  start(): void {
    const { time } = this.#world
    const joinsAt = this.#session.startsAt + this.#plan.joinsAt
    this.#isRecording = true
    time.at(joinsAt, () => this.#page.run(() => void this.#record()))
    for (const event of this.#plan.events) time.at(joinsAt + event.at, () => this.#happen(event))
  }

  #newPage(): SimProcess {
    this.#pages += 1
    const page = new SimProcess(`${this.#name} page ${this.#pages}`)
    this.#world.pages.set(page, this)
    return page
  }

  async #record(): Promise<void> {
    const { time } = this.#world
    const client = crypto.randomUUID()
    const { spool, uplink, upload } = this.#open(client, new UploadSession({ ownsClient: true }))
    this.#spool = spool
    this.#upload = upload
    this.#uplink = uplink
    uplink.start()
    this.#turn = this.#beginParts()
    while (time.now < this.#endsAt) {
      await time.sleep(this.#plan.chunkMs)
      await this.#inTurn(() => this.#capture())
    }
    await this.#inTurn(() => this.#stop())
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(work)
    return this.#turn
  }

  /** An upload session over a spool; counted as unfinished until it is settled or ended. */
  #open(client: string, upload: UploadSession, existing?: SimSpool) {
    const { time, model, mutation } = this.#world
    const names = { session: this.#session.id, client }
    const acknowledged = (part: string, from: number, to: number): void =>
      model.acknowledged(names.session, part, from, to)
    const spool = existing ?? new SimSpool(names, time, acknowledged, mutation === 'other-bytes')
    this.#left.add(spool)
    const settle = (): void => {
      this.#left.delete(spool)
      uplink.stop()
    }
    const uplink = new Uplink(
      {
        url: `ws://gateway/v1/ingest/${names.session}?client=${client}`,
        token: 'token',
        session: upload,
        spool: spool as unknown as Spool,
        timers,
      },
      {
        connection: () => undefined,
        progressed: () => undefined,
        error: (error) => this.#world.trace.line(this.#page.name, `error: ${error.message}`),
        settled: settle,
        ended: (cause) => {
          if (cause === 'deleted') return settle()
          // Another page is about to upload it; should that die, too, the next visit does.
          uplink.stop()
          time.after(COMES_AGAIN_MS, () => this.#page.run(() => this.#recover(spool)))
        },
      },
    )
    return { spool, upload, uplink }
  }

  async #beginParts(): Promise<void> {
    const { time, model } = this.#world
    for (const track of this.#plan.tracks) {
      const part = crypto.randomUUID()
      const { chunkMs, chunkBytes, keyframeChunks } = this.#plan
      const chunks = roundUp(Math.ceil((this.#endsAt - time.now) / chunkMs) + 2)
      const media = mediaOf(model.recorded.nextVariant(this.#session.id), { chunks, chunkMs, chunkBytes, keyframeChunks })
      const opened = { track, part, mimeType: media.mimeType, startedAt: Date.now() }
      model.recorded.opened(opened)
      await this.#spool!.addPart(opened)
      this.#parts.push({ track, part, media, seq: 0 })
      this.#perform(this.#upload!.openPart(opened))
    }
  }

  async #capture(): Promise<void> {
    for (const running of this.#parts) {
      const bytes = running.media.chunks[running.seq]
      if (bytes === undefined) continue
      const seq = running.seq++
      const chunk = { seq, bytes: bytes.length, capturedAt: Date.now() }
      this.#world.model.recorded.made(running.part, seq, bytes)
      if (this.#refuseNext) {
        this.#refuseNext = false
        await this.#spool!.noteLost(running.part, seq, 'quota')
        this.#perform(this.#upload!.chunkNotKept(running.part, chunk, 'quota'))
      } else {
        await this.#spool!.addChunk(running.part, seq, bytes, chunk.capturedAt)
        this.#perform(this.#upload!.chunkSpooled(running.part, chunk))
      }
    }
  }

  async #endParts(): Promise<void> {
    for (const { part, seq } of this.#parts.splice(0)) {
      await this.#spool!.closePart(part, { chunks: seq, clean: true })
      this.#perform(this.#upload!.closePart(part, seq, true))
    }
  }

  async #stop(): Promise<void> {
    const finishes = this.#session.end === 'client'
    this.#spool!.stopped = finishes
    await this.#endParts()
    this.#isRecording = false
    this.#perform(finishes ? this.#upload!.finish() : this.#upload!.leave())
  }

  #perform(actions: Action[]): void {
    this.#uplink!.perform(actions)
  }

  #happen(event: PageEvent): void {
    const { time, trace, random } = this.#world
    if (!this.#isRecording || this.#spool === null) return
    trace.line(this.#page.name, `${event.do}${'forMs' in event ? ` for ${event.forMs} ms` : ''}`)
    switch (event.do) {
      case 'crash':
        return this.#crash(event)
      case 'next-part':
        return void this.#page.run(async () => {
          await this.#inTurn(async () => {
            if (this.#parts.length === 0) return
            await this.#endParts()
            await this.#beginParts()
          })
        })
      case 'offline':
        this.offlineUntil = time.now + event.forMs
        this.#world.cutClients(({ page }) => page === this.#page)
        return
      case 'quota':
        this.#refuseNext = true
        return
      case 'steal': {
        const waiting = [...this.#spool.parts].flatMap(([part, { chunks }]) =>
          [...chunks.keys()].map((seq) => ({ part, seq })),
        )
        if (waiting.length === 0) return
        const { part, seq } = random.pick(waiting)
        if (this.#spool.steal(part, seq)) this.#world.model.stolen(this.#session.id, part, seq)
        return
      }
      case 'unreadable':
        this.#spool.withhold(event.forMs)
        return
      default:
        event satisfies never
    }
  }

  /** The page dies; a later one recovers what it left, and may go on recording under a new name. */
  #crash({ backAfterMs, goesOn }: Extract<PageEvent, { do: 'crash' }>): void {
    const { time } = this.#world
    this.#page.kill()
    this.#parts = []
    this.#spool = null
    this.#isRecording = goesOn
    time.after(backAfterMs, () => {
      this.#page = this.#newPage()
      this.#page.run(() => {
        for (const left of this.#left) this.#recover(left)
        if (goesOn && time.now < this.#endsAt) void this.#record()
        else this.#isRecording = false
      })
    })
  }

  #recover(left: SimSpool): void {
    const upload = new UploadSession()
    for (const part of left.parts.keys()) {
      const { record, chunks } = left.recordsOf(part)
      upload.restorePart(restorePart(record, chunks))
    }
    const { uplink } = this.#open(left.client, upload, left)
    uplink.start()
    uplink.perform(left.stopped ? upload.finish() : upload.leave())
  }
}

const COMES_AGAIN_MS = 5000

/** Media is made for a few lengths only, so that it is made once. */
const roundUp = (chunks: number): number => 2 ** Math.ceil(Math.log2(chunks))
