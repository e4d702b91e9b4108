import type { ReportEvent } from '@longtake/contracts/protocol'
import { DeliveryProbe } from './delivery-probe.ts'
import { kindsOf, type Kinds } from './media-type.ts'
import type { SourceLook } from './source-rules.ts'
import { leaveOutAfterStall, StallWatch } from './stall-watch.ts'

export interface DeliveryHost {
  report(event: ReportEvent, detail: string): void
  /** The sources of these looks. */
  pick(looks: readonly SourceLook[]): MediaStreamTrack[]
}

const NAMES: Record<keyof Kinds, string> = { video: 'picture', audio: 'sound' }

/**
 * Whether a track's sources deliver data, and which of them are left out until they do again.
 *
 * Chromium and Safari hold the sound of a MediaRecorder in memory while its picture stands still: neither `requestData`
 * nor a pause makes Chromium release it, only `stop` does. So a stalled part is ended and the next one records the
 * sound alone. A second MediaRecorder for the sound of every track was considered: it would never stall, but each track
 * would become two files that a viewer has to play in step, for the sake of pictures that stand still.
 */
export class Delivery {
  readonly #host: DeliveryHost
  #stalls = new StallWatch(performance.now())
  #leftOut: keyof Kinds | null = null
  #probe: DeliveryProbe | null = null
  #isBack = false
  #isReported = false

  constructor(host: DeliveryHost) {
    this.#host = host
  }

  /** `none`: nothing has come for some seconds; `partly`: of a part of the sources. */
  get state(): 'all' | 'partly' | 'none' {
    if (!this.#stalls.isDelivering) return 'none'
    return this.#leftOut === null ? 'all' : 'partly'
  }

  /** Those of the sources that the next part records. */
  choose(recordable: readonly SourceLook[]): SourceLook[] {
    const chosen = recordable.filter(({ kind }) => kind !== this.#leftOut)
    return chosen.length > 0 ? chosen : [...recordable]
  }

  began(): void {
    this.#stalls.began(performance.now())
  }

  delivered(): void {
    this.#stalls.delivered(performance.now())
    if (this.#isReported && this.state === 'all') this.#recovered('everything is recorded again')
  }

  /**
   * To be called about once a second while a part is recorded.
   * @param recorded what the part was begun with
   * @param now all sources as they are
   * @returns whether another part should be begun
   */
  look(recorded: readonly SourceLook[], now: readonly SourceLook[]): boolean {
    this.#probe?.look()
    const isStalled = this.#stalls.look(performance.now())
    if (this.#isBack && this.#leftOut !== null && this.#stalls.part !== 'unknown') {
      if (this.#stalls.part === 'data') this.#include(this.#leftOut)
      // It was the other one that delivers nothing.
      else this.#leaveOut(this.#leftOut === 'video' ? 'audio' : 'video', now)
      return true
    }
    // That a source is muted is known, and the end of it is an event.
    const isMuted = now.every(({ id, muted }) => muted || !recorded.some((source) => source.id === id))
    if (isMuted && isStalled) this.#stalls.began(performance.now())
    if (!isStalled || isMuted) return false
    this.stalled(recorded, now)
    return true
  }

  /** Nothing comes of what is recorded: the next part leaves something out. */
  stalled(recorded: readonly SourceLook[], now: readonly SourceLook[]): void {
    const live = now.filter((source) => source.live)
    const names = recorded.map(({ kind }) => NAMES[kind as keyof Kinds]).join(' and ')
    this.#stalls.handled(kindsOf(recorded))
    this.#leaveOut(leaveOutAfterStall(kindsOf(recorded), kindsOf(live)), now)
    if (this.#isReported) return
    this.#isReported = true
    const rest = this.#leftOut === null ? '' : `: recorded without the ${NAMES[this.#leftOut]} until it delivers again`
    this.#host.report('stalled', `no data from ${names}${rest}`)
  }

  /** The sources are others now, or recorded no longer. */
  reset(): void {
    this.#leaveOut(null, [])
    this.#stalls = new StallWatch(performance.now())
    this.#isReported = false
  }

  #include(kind: keyof Kinds): void {
    this.#leaveOut(null, [])
    this.#recovered(`the ${NAMES[kind]} delivers again`)
  }

  #leaveOut(kind: keyof Kinds | null, now: readonly SourceLook[]): void {
    this.#probe?.close()
    this.#leftOut = kind
    this.#isBack = false
    const left = now.filter((source) => source.live && source.kind === kind)
    this.#probe = kind === null ? null : new DeliveryProbe(this.#host.pick(left), () => (this.#isBack = true))
  }

  #recovered(detail: string): void {
    this.#isReported = false
    this.#host.report('recovered', detail)
  }
}
