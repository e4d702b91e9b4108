import { levelOf, type AudioLevel } from './audio-level.ts'
import { runningContext } from './running-context.ts'

/** 43 ms at 48 kHz: shorter than a syllable, longer than a wave. */
const SAMPLES = 2048

/** Measures how loud a stream is. It neither plays nor changes it, and does not depend on a recorder. */
export class LevelMeter {
  readonly #context: AudioContext
  readonly #analyser: AnalyserNode
  readonly #samples: Float32Array<ArrayBuffer>

  private constructor(context: AudioContext, stream: MediaStream) {
    this.#context = context
    this.#analyser = new AnalyserNode(context, { fftSize: SAMPLES })
    this.#samples = new Float32Array(SAMPLES)
    context.createMediaStreamSource(stream).connect(this.#analyser)
  }

  /**
   * @throws DOMException `NotAllowedError` before the person has clicked, `InvalidStateError` where the stream has no sound
   */
  static async open(stream: MediaStream): Promise<LevelMeter> {
    const context = await runningContext()
    try {
      return new LevelMeter(context, stream)
    } catch (error) {
      await context.close()
      throw error
    }
  }

  /** Of the last 43 ms. To be called as often as it is shown, as at each animation frame. */
  read(): AudioLevel {
    this.#analyser.getFloatTimeDomainData(this.#samples)
    return levelOf(this.#samples)
  }

  /** Frees its `AudioContext`, of which a page may have only a few. The stream stays as it is. */
  async close(): Promise<void> {
    if (this.#context.state !== 'closed') await this.#context.close()
  }
}
