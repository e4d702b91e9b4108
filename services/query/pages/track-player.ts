import type { PublicSession } from '@longtake/contracts'

type Track = PublicSession['tracks'][string]

/** How near its known end a growing recording is loaded again. */
const NEAR_END_S = 1.5

/** One track: a `<video>` that is loaded again, at the same time, when the recording has grown past what it knows or its bytes moved. */
export class TrackPlayer {
  readonly element = document.createElement('section')
  readonly #video = document.createElement('video')
  readonly #files = document.createElement('div')
  readonly #facts = document.createElement('p')
  readonly #gaps = document.createElement('ul')
  readonly #access: string
  #track: Track | undefined
  #file = 0
  #loadedUrl = ''
  #loadedMs = 0

  constructor(name: string, access: string) {
    this.#access = access
    const title = document.createElement('h2')
    title.textContent = name
    this.element.className = 'track'
    this.element.dataset.track = name
    this.#video.controls = true
    this.#video.preload = 'metadata'
    this.#video.playsInline = true
    this.#facts.className = 'note'
    this.#gaps.className = 'gaps'
    this.#video.addEventListener('timeupdate', () => this.#follow())
    this.#video.addEventListener('ended', () => this.#afterEnd())
    // A response that broke off because bytes moved: the next update has the new address.
    this.#video.addEventListener('error', () => {
      this.#loadedUrl = ''
    })
    this.element.append(title, this.#video, this.#files, this.#facts, this.#gaps)
  }

  update(track: Track, live: boolean): void {
    this.#track = track
    const file = track.files[this.#file]
    if (file === undefined) return
    this.#showFiles(track.files.length)
    const moved = this.#loadedUrl !== file.url
    const grown = file.durationMs > this.#loadedMs
    // While someone watches in the middle of it, growth alone is no reason to interrupt.
    if (moved || (grown && (this.#video.paused || this.#atEnd() || !live))) this.#load(file.url, file.durationMs, moved)
  }

  describe(facts: string, gaps: string[]): void {
    this.#facts.textContent = facts
    this.#gaps.replaceChildren(
      ...gaps.map((text) => {
        const item = document.createElement('li')
        item.textContent = text
        return item
      }),
    )
  }

  #load(url: string, durationMs: number, moved: boolean): void {
    if (!moved && this.#video.seeking) return
    const { currentTime, paused, playbackRate } = this.#video
    const separator = url.includes('?') ? '&' : '?'
    this.#video.src = `${url}${separator}token=${encodeURIComponent(this.#access)}`
    this.#loadedUrl = url
    this.#loadedMs = durationMs
    this.#video.playbackRate = playbackRate
    if (currentTime > 0) this.#video.currentTime = currentTime
    if (!paused) void this.#video.play().catch(() => undefined)
  }

  #atEnd(): boolean {
    return this.#video.currentTime > this.#loadedMs / 1000 - NEAR_END_S
  }

  #follow(): void {
    const file = this.#track?.files[this.#file]
    if (file !== undefined && !this.#video.paused && this.#atEnd() && file.durationMs > this.#loadedMs) this.#load(file.url, file.durationMs, false)
  }

  #afterEnd(): void {
    const next = this.#track?.files[this.#file + 1]
    if (next === undefined) return
    this.#open(this.#file + 1)
    void this.#video.play().catch(() => undefined)
  }

  #open(file: number): void {
    const found = this.#track?.files[file]
    if (found === undefined) return
    this.#file = file
    this.#video.removeAttribute('src')
    this.#video.load()
    this.#load(found.url, found.durationMs, true)
  }

  /** Nearly always there is one file; where parts could not join, each is chosen by a button and they play in order. */
  #showFiles(count: number): void {
    if (count < 2 || this.#files.childElementCount === count) return
    this.#files.replaceChildren(
      ...Array.from({ length: count }, (_, index) => {
        const button = document.createElement('button')
        button.textContent = `File ${index + 1}`
        button.addEventListener('click', () => this.#open(index))
        return button
      }),
    )
  }
}
