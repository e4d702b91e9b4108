import type { ReportEvent } from '@longtake/contracts/protocol'

/** A microphone has noise at any time, so zeros for so long come of a device or a system that gives no sound. */
export const SILENT_AFTER_MS = 60_000

/** Finds sound that is exactly zero. Times are milliseconds of a clock that is never set. */
export class SilenceWatch {
  #zerosSince: number | null = null
  #isSilent = false

  /**
   * To be told about once a second.
   * @param level `unknown` while nothing can be said, as of a source that is known to be muted
   * @returns what has changed
   */
  see(now: number, level: 'zeros' | 'sound' | 'unknown'): 'silent' | 'audible' | null {
    this.#zerosSince = level === 'zeros' ? (this.#zerosSince ?? now) : null
    if (this.#isSilent && level === 'sound') {
      this.#isSilent = false
      return 'audible'
    }
    if (this.#isSilent || this.#zerosSince === null || now - this.#zerosSince < SILENT_AFTER_MS) return null
    this.#isSilent = true
    return 'silent'
  }
}

/** The most that an analyser keeps, in samples: of a second nearly all. */
const SAMPLES = 32_768

interface Listened {
  source: MediaStreamTrack
  analyser: AnalyserNode
  watch: SilenceWatch
}

/** Listens to microphones for sound that is exactly zero: the recorder gets data all the while, and nothing of it can be heard. */
export class Silence {
  readonly #report: (event: ReportEvent, detail: string) => void
  readonly #samples = new Float32Array(SAMPLES)
  #context: AudioContext | null = null
  #listened: Listened[] = []
  #contextSeconds = 0

  constructor(sources: readonly MediaStreamTrack[], report: (event: ReportEvent, detail: string) => void) {
    this.#report = report
    const microphones = sources.filter((source) => source.kind === 'audio' && !isOfScreen(source))
    if (microphones.length === 0 || typeof AudioContext === 'undefined') return
    try {
      const context = new AudioContext()
      this.#context = context
      this.#listened = microphones.map((source) => ({ source, analyser: analyserOf(context, source), watch: new SilenceWatch() }))
    } catch {
      // Recording does not depend on it, and some browsers bound the number of contexts.
      this.close()
    }
  }

  /** To be called about once a second. */
  look(): void {
    const context = this.#context
    if (context === null) return
    // One that the browser does not run, as before a first click, has nothing but zeros.
    const runs = context.state === 'running' && context.currentTime > this.#contextSeconds
    this.#contextSeconds = context.currentTime
    for (const { source, analyser, watch } of this.#listened) {
      const isKnown = runs && source.readyState === 'live' && source.enabled && !source.muted
      const change = watch.see(performance.now(), isKnown ? this.#levelOf(analyser) : 'unknown')
      if (change === 'silent') this.#report('silent', `audio: ${source.label}: nothing but zeros for ${SILENT_AFTER_MS / 1000} s`)
      if (change === 'audible') this.#report('audible', `audio: ${source.label}`)
    }
  }

  close(): void {
    // A context that does not close ends with the page.
    this.#context?.close().catch(() => undefined)
    this.#context = null
    this.#listened = []
  }

  #levelOf(analyser: AnalyserNode): 'zeros' | 'sound' {
    analyser.getFloatTimeDomainData(this.#samples)
    return this.#samples.every((sample) => sample === 0) ? 'zeros' : 'sound'
  }
}

/** The sound of a shared tab or system is silent for hours, rightly. Browsers give only that this setting. */
function isOfScreen(source: MediaStreamTrack): boolean {
  const settings = source.getSettings()
  return 'restrictOwnAudio' in settings || 'suppressLocalAudioPlayback' in settings
}

/** Connected to something that pulls it, since engines may leave alone what leads nowhere. */
function analyserOf(context: AudioContext, source: MediaStreamTrack): AnalyserNode {
  const analyser = context.createAnalyser()
  analyser.fftSize = SAMPLES
  context.createMediaStreamSource(new MediaStream([source])).connect(analyser)
  analyser.connect(context.createMediaStreamDestination())
  return analyser
}
