import { RecorderError, type TrackOptions, type TrackState } from '../api.ts'
import { TrackLocks } from '../spool/locks.ts'
import { TrackRecording, type TrackHost } from './track-recording.ts'

const TRACK_NAME = /^[a-z0-9-]{1,32}$/

/** All tracks of a recorder. Of a name there is one, in this page and in all tabs of this browser. */
export class Tracks {
  readonly #host: TrackHost
  readonly #locks: TrackLocks
  readonly #tracks = new Map<string, TrackRecording>()
  readonly #starting = new Set<string>()
  #over = false

  constructor(session: string, host: TrackHost) {
    this.#host = host
    this.#locks = new TrackLocks(session)
  }

  /** Whether any is recorded, or would be if it were not paused. */
  get anyGoesOn(): boolean {
    return [...this.#tracks.values()].some(({ hasEnded }) => !hasEnded)
  }

  /** Whether nothing is recorded only because it is paused. */
  get isPaused(): boolean {
    const ongoing = [...this.#tracks.values()].filter(({ hasEnded }) => !hasEnded)
    return ongoing.length > 0 && ongoing.every(({ isPaused }) => isPaused)
  }

  /** By name. */
  get states(): Record<string, TrackState> {
    return Object.fromEntries([...this.#tracks.values()].map((track) => [track.name, track.hasEnded ? 'ended' : track.isPaused ? 'paused' : track.delivers === 'none' ? 'stalled' : 'recording']))
  }

  /** Those of which something should be recorded, and no data comes. */
  get stalled(): string[] {
    return [...this.#tracks.values()].filter((track) => !track.hasEnded && !track.isPaused && track.delivers === 'none').map(({ name }) => name)
  }

  /** Whether data comes of any. */
  get anyDelivers(): boolean {
    return [...this.#tracks.values()].some((track) => !track.hasEnded && !track.isPaused && track.delivers !== 'none')
  }

  /**
   * All or none: nobody shall hear of one whose neighbour could not start.
   * @throws RecorderError, also where `end` was called before they had started
   */
  async start(tracks: Record<string, TrackOptions>): Promise<void> {
    const names = Object.keys(tracks)
    for (const name of names) this.#assertFree(name)
    for (const name of names) this.#starting.add(name)
    try {
      await this.#locks.hold(names)
      for (const track of await this.#startAll(tracks)) {
        track.release()
        this.#tracks.set(track.name, track)
      }
    } catch (error) {
      this.#locks.release(names)
      throw error
    } finally {
      for (const name of names) this.#starting.delete(name)
    }
  }

  /** One more, or, where one of that name has ended, its next part. @throws RecorderError */
  async add(name: string, options: TrackOptions): Promise<void> {
    if (this.#tracks.get(name)?.hasEnded === true) await this.replace(name, options)
    else await this.start({ [name]: options })
  }

  /** @throws RecorderError */
  async replace(name: string, options: TrackOptions): Promise<void> {
    await this.#get(name).replace(options)
  }

  /** One, or all. @returns the names of those that this changed @throws RecorderError where there is none of that name */
  pause(name?: string): string[] {
    return this.#namesOf((track) => track.pause(), name)
  }

  /** One, or all. @returns the names of those that this changed @throws RecorderError where there is none of that name */
  resume(name?: string): string[] {
    return this.#namesOf((track) => track.resume(), name)
  }

  /** Resolves when all of it is in the spool. @throws RecorderError where there is none of that name */
  async stop(name: string): Promise<void> {
    await this.#get(name).end()
  }

  /** @returns the names of those that have pictures now */
  setVideoShare(share: number): string[] {
    return this.#namesOf((track) => track.setVideoShare(share))
  }

  /** @throws RecorderError `already-recording` where another page has taken one of them meanwhile */
  async holdAgain(): Promise<void> {
    await this.#locks.holdAgain()
  }

  nextParts(): void {
    for (const track of this.#tracks.values()) void track.nextPart()
  }

  /** For good. Resolves when all of them is in the spool. */
  async end(): Promise<void> {
    this.#over = true
    await Promise.all([...this.#tracks.values()].map((track) => track.end()))
    this.#locks.release()
  }

  async #startAll(tracks: Record<string, TrackOptions>): Promise<TrackRecording[]> {
    const started = await Promise.allSettled(Object.entries(tracks).map(([name, options]) => TrackRecording.start(name, options, this.#host)))
    const failed = started.find((result) => result.status === 'rejected')
    const recording = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    if (failed === undefined && !this.#over) return recording
    for (const track of recording) track.abandon()
    throw this.#over ? new RecorderError('invalid-options', 'the recording ended before this track had begun') : failed?.reason
  }

  #assertFree(name: string): void {
    if (!TRACK_NAME.test(name)) throw new RecorderError('invalid-options', `"${name}" is no track name: [a-z0-9-], at most 32`)
    if (this.#starting.has(name) || this.#tracks.has(name)) throw new RecorderError('invalid-options', `${name} is being recorded: replaceStream gives it another stream`)
  }

  #get(name: string): TrackRecording {
    const track = this.#tracks.get(name)
    if (track === undefined) throw new RecorderError('invalid-options', `there is no track ${name}`)
    return track
  }

  #namesOf(changes: (track: TrackRecording) => boolean, only?: string): string[] {
    const tracks = only === undefined ? [...this.#tracks.values()] : [this.#get(only)]
    return tracks.filter(changes).map(({ name }) => name)
  }
}
