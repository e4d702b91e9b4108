/** A slice of one byte holds no frame: Chromium gives it for an empty request. */
const LARGEST_EMPTY_SLICE_BYTES = 1
const PROBE_BITS_PER_SECOND = 100_000

/**
 * Finds out whether sources deliver again that a part left out, by a MediaRecorder of their own whose data is dropped.
 * A frame counter would cost less, but no browser has one for every kind of source and in hidden tabs.
 */
export class DeliveryProbe {
  readonly #sources: readonly MediaStreamTrack[]
  readonly #delivers: () => void
  #recorder: MediaRecorder | null = null
  /** Browsers repeat the last frame to a new recorder. */
  #ignoresNext = true

  /** @param delivers called at every look at which they do */
  constructor(sources: readonly MediaStreamTrack[], delivers: () => void) {
    this.#sources = sources
    this.#delivers = delivers
    this.#start()
  }

  /** To be called about once a second. */
  look(): void {
    if (this.#recorder?.state !== 'recording') return this.#start()
    this.#recorder.requestData()
  }

  close(): void {
    const recorder = this.#recorder
    this.#recorder = null
    if (recorder !== null && recorder.state !== 'inactive') recorder.stop()
  }

  #start(): void {
    this.#recorder = null
    this.#ignoresNext = true
    try {
      const recorder = new MediaRecorder(new MediaStream([...this.#sources]), { videoBitsPerSecond: PROBE_BITS_PER_SECOND })
      recorder.addEventListener('dataavailable', ({ data }) => this.#receive(recorder, data))
      recorder.start()
      this.#recorder = recorder
    } catch {
      // Tried again at the next look; until then they count as silent.
    }
  }

  #receive(recorder: MediaRecorder, data: Blob): void {
    if (recorder !== this.#recorder) return
    const isRepeated = this.#ignoresNext
    this.#ignoresNext = false
    if (!isRepeated && data.size > LARGEST_EMPTY_SLICE_BYTES) this.#delivers()
  }
}
