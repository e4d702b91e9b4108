import { setTimeout as delay } from 'node:timers/promises'
import type { PublicSession } from '@longtake/contracts'
import { downloadSession, type Random, type SessionToCheck } from '@longtake/testkit'
import { call, finalized } from '../test/sessions.ts'
import { HABITS, startRecording, untilAnswered, type Habit, type Pace, type Recording, type Transport } from './recorders.ts'
import type { Stage } from './stage.ts'

export interface LoadPlan {
  /** How many sessions; the first ones are steady, the others of all habits in turn, in any order. */
  sessions: number
  steady: number
  pace: Pace
  /** How recorders reach the gateways; default `websocket`. */
  transport?: Transport
}

const PACE: Pace = { chunkEveryMs: 80 }
export const LIGHT: LoadPlan = { sessions: 5, steady: 2, pace: PACE }
/** With a session of every habit. */
export const VARIED: LoadPlan = { sessions: 3 + Object.keys(HABITS).length, steady: 3, pace: PACE }

/** What a session ended as: what a viewer sees of it, and what its clients know. */
export interface Ended {
  habit: Habit
  toCheck: SessionToCheck
  /** What recorders must never see. */
  violations: string[]
  closes: number[]
}

/** Sessions that are recorded all through a trial. */
export class Load {
  readonly #stage: Stage
  readonly recordings: readonly Recording[]

  private constructor(stage: Stage, recordings: readonly Recording[]) {
    this.#stage = stage
    this.recordings = recordings
  }

  /** Resolves when all are under way. */
  static async start(stage: Stage, random: Random, plan: LoadPlan): Promise<Load> {
    const deck = random.shuffle(Object.keys(HABITS) as Habit[])
    const habits = Array.from({ length: plan.sessions }, (_, index) => (index < plan.steady ? 'steady' : deck[(index - plan.steady) % deck.length]!))
    const seeds = habits.map(() => random.between(0, 1e9))
    return new Load(stage, await Promise.all(habits.map((habit, index) => startRecording(stage, habit, seeds[index]!, plan))))
  }

  /** Chunks acknowledged of one session so far. */
  acknowledged(recording: Recording): number {
    return recording.clients.flatMap(({ parts }) => parts).reduce((sum, { acknowledged }) => sum + acknowledged.size, 0)
  }

  /** Lets a steady session end early; resolves with it once its end is durable. */
  async endOne(): Promise<Recording> {
    const recording = this.recordings.find(({ habit }) => habit === 'steady')
    if (recording === undefined) throw new Error('no session is steady')
    recording.end()
    await recording.ended
    return recording
  }

  /** All sessions come to their end; resolves with what became of each once nothing more is to happen. */
  async end(boundMs: number): Promise<Ended[]> {
    for (const recording of this.recordings) recording.end()
    const ended = await Promise.all(
      this.recordings.map(async (recording) => {
        await recording.ended
        await this.#settled(recording, boundMs)
        return this.#look(recording)
      }),
    )
    await Promise.all(this.recordings.flatMap(({ clients }) => clients.map((client) => client.disconnect())))
    return ended
  }

  /** Nobody records any more, whatever became of it. */
  async abandon(): Promise<void> {
    for (const recording of this.recordings) recording.end()
    await Promise.allSettled(this.recordings.flatMap(({ clients }) => clients.map((client) => client.crash())))
  }

  async status({ session }: Recording): Promise<PublicSession> {
    return call<PublicSession>(this.#stage.system, `/v1/sessions/${session.id}`)
  }

  /** The session's end is finalized and all that was acknowledged is in it. */
  async #settled(recording: Recording, boundMs: number): Promise<void> {
    const deadline = Date.now() + boundMs
    const isSettled = (status: PublicSession): boolean => {
      const told = Object.values(status.tracks).flatMap(({ parts }) => parts)
      const stored = told.reduce((sum, part) => sum + part.stored, 0)
      return finalized(status) && stored >= this.acknowledged(recording)
    }
    for (;;) {
      const status = await untilAnswered(() => this.status(recording))
      if (isSettled(status)) return
      if (Date.now() > deadline) {
        throw new Error(
          `session ${recording.session.id} (${recording.habit}) was not complete ${boundMs} ms after its end; ${this.acknowledged(recording)} chunks were acknowledged; its status: ${JSON.stringify(status)}`,
        )
      }
      await delay(200)
    }
  }

  async #look({ session, habit, clients }: Recording): Promise<Ended> {
    const seen = await untilAnswered(() => downloadSession(this.#stage.system.queryUrl, session.id, session.watch.token))
    return {
      habit,
      toCheck: { session: session.id, finished: true, parts: clients.flatMap(({ parts }) => parts), ...seen },
      violations: clients.flatMap(({ violations }) => violations),
      closes: clients.flatMap(({ closes }) => closes.map(({ code }) => code)),
    }
  }
}
