import type { PublicSession } from '@longtake/contracts'
import { clock, size } from './access.ts'
import { isFarBehind, livePositionMs } from './live-edge.ts'
import { uncertainWords } from './missing-words.ts'
import { endOfRepeated } from './repeated.ts'
import { playableTrack } from './mp4-rendition.ts'
import { gapWords, TimelineBar } from './timeline-bar.ts'

type Track = PublicSession['tracks'][string]

/** How near its known end a growing recording is loaded again for someone who plays towards it. */
const NEAR_END_S = 3

/**
 * One track. A `<video>` does not notice that its recording has grown, so a second one loads it anew, seeks to the same
 * time and takes the first one's place. While recording it follows, unless one pauses or seeks; the Live button follows again.
 */
export class TrackPlayer {
  readonly element = document.createElement('section')
  readonly #bar: TimelineBar
  readonly #live = document.createElement('button')
  readonly #files = document.createElement('div')
  readonly #facts = document.createElement('p')
  readonly #gaps = document.createElement('ul')
  readonly #access: string
  readonly #name: string
  #video: HTMLVideoElement
  #next: HTMLVideoElement | undefined
  #track: Track | undefined
  /** Addresses of MP4s that were asked for. */
  readonly #requested = new Set<string>()
  #isPreparing = false
  #file = 0
  #isLive = false
  #follows = true
  #loadedUrl = ''
  #loadedMs = 0
  #ownSeekS: number | undefined

  constructor(name: string, access: string) {
    this.#name = name
    this.#access = access
    this.#bar = new TimelineBar((ms) => this.#seekTo(ms))
    const title = document.createElement('h2')
    title.textContent = name
    const head = document.createElement('div')
    head.className = 'head'
    this.#live.type = 'button'
    this.#live.className = 'live'
    this.#live.textContent = 'Live'
    this.#live.addEventListener('click', () => this.#goLive())
    head.append(title, this.#live)
    this.element.className = 'track'
    this.element.dataset['track'] = name
    this.#files.className = 'files'
    this.#facts.className = 'note'
    this.#gaps.className = 'gaps'
    this.#video = this.#createVideo()
    this.element.append(head, this.#video, this.#bar.element, this.#files, this.#facts, this.#gaps)
  }

  update(recorded: Track, live: boolean): void {
    const begins = this.#track === undefined
    const { track, missing, isPending } = playableTrack(recorded, {
      userAgent: navigator.userAgent,
      canPlay: (mimeType) => this.#video.canPlayType(mimeType) !== '',
    })
    // Of what is still recorded no other form can be made.
    this.#isPreparing = isPending && !live
    if (!live) for (const address of missing) this.#request(address)
    this.#track = track
    this.#isLive = live
    if (begins) this.#follows = live
    this.#show()
    const file = track.files[this.#file]
    if (file === undefined) return
    if (this.#video.ended && live && this.#openNext()) return
    if (this.#loadedUrl === '') return this.#load({ inPlace: true, ...(this.#follows ? { atMs: livePositionMs(file.durationMs) } : {}) })
    if (this.#loadedUrl !== file.url) return this.#load()
    // While someone watches in the middle of it, growth alone is no reason to interrupt.
    if (file.durationMs > this.#loadedMs && (this.#follows || this.#video.paused || this.#nearEnd() || !live)) this.#load()
  }

  /** Has an MP4 made by asking for its first byte; the next status has what became of it. */
  #request(address: string): void {
    if (this.#requested.has(address)) return
    this.#requested.add(address)
    fetch(address, { headers: { authorization: `Bearer ${this.#access}`, range: 'bytes=0-0' } }).catch(() => this.#requested.delete(address))
  }

  remove(): void {
    this.#drop()
    release(this.#video)
    this.element.remove()
  }

  #show(): void {
    const track = this.#track
    if (track === undefined) return
    const file = track.files[this.#file]
    const gaps = track.parts.flatMap((part) => part.gaps)
    // Of several files it is not known in which one a gap is.
    this.#bar.show(file?.durationMs ?? 0, track.files.length > 1 ? [] : gaps)
    this.#bar.element.hidden = file === undefined
    this.#live.hidden = !this.#isLive || file === undefined
    this.#live.setAttribute('aria-pressed', String(this.#follows))
    const waits = this.#isLive && this.#follows && this.#video.ended ? ' · waiting for more' : ''
    const prepares = this.#isPreparing ? ' · preparing a version for this browser' : ''
    this.#facts.textContent = file === undefined ? 'Nothing to see yet: the first seconds are on their way' : `${clock(track.durationMs)} · ${size(track.bytes)}${waits}${prepares}`
    this.#showMissing([...gaps.map(gapWords), ...uncertainWords(track.parts, this.#isLive)])
    this.#showFiles(track.files.length)
  }

  #createVideo(): HTMLVideoElement {
    const video = document.createElement('video')
    video.controls = true
    video.preload = 'metadata'
    video.playsInline = true
    video.setAttribute('aria-label', this.#name)
    const whenShown = (event: keyof HTMLMediaElementEventMap, listener: () => void): void => {
      video.addEventListener(event, () => {
        if (video === this.#video) listener()
      })
    }
    whenShown('timeupdate', () => this.#played())
    whenShown('ended', () => this.#ended())
    whenShown('pause', () => {
      // At its end it waits for more, and a hidden page is paused by the browser.
      if (!video.ended && !document.hidden) this.#leaveLive()
    })
    whenShown('seeking', () => {
      if (!this.#isOwnSeek(video)) this.#leaveLive()
    })
    // A response that broke off because bytes moved: the next update has the new address.
    whenShown('error', () => {
      this.#loadedUrl = ''
    })
    return video
  }

  /** Loads the file as it is now, at `atMs` or where one is. */
  #load({ atMs, inPlace = false }: { atMs?: number; inPlace?: boolean } = {}): void {
    const file = this.#track?.files[this.#file]
    if (file === undefined) return
    const address = addressOf(file.url, file.durationMs, this.#access)
    this.#loadedUrl = file.url
    this.#loadedMs = file.durationMs
    this.#drop()
    // A picture that fills the screen or floats would fall back when its element is replaced.
    if (inPlace || document.fullscreenElement === this.#video || document.pictureInPictureElement === this.#video) {
      return this.#loadInPlace(address, atMs)
    }
    const next = this.#createVideo()
    this.#next = next
    next.preload = 'auto'
    next.muted = true
    next.addEventListener('loadeddata', () => {
      const atS = atMs === undefined ? this.#video.currentTime : atMs / 1000
      if (atS === 0) return this.#swap(next)
      next.addEventListener('seeked', () => this.#swap(next), { once: true })
      next.currentTime = atS
    }, { once: true })
    next.addEventListener('error', () => {
      if (next === this.#next) this.#loadedMs = 0
    })
    next.src = address
  }

  #loadInPlace(address: string, atMs: number | undefined): void {
    const video = this.#video
    const { currentTime, playbackRate } = video
    const plays = this.#goesOn()
    const atS = atMs === undefined ? currentTime : atMs / 1000
    video.src = address
    video.playbackRate = playbackRate
    if (atS > 0) this.#seek(video, atS)
    if (plays) this.#play(video)
  }

  #swap(next: HTMLVideoElement): void {
    if (next !== this.#next) return
    this.#next = undefined
    const before = this.#video
    const plays = this.#goesOn()
    const hadFocus = document.activeElement === before
    next.muted = before.muted
    next.volume = before.volume
    next.playbackRate = before.playbackRate
    this.#video = next
    before.replaceWith(next)
    if (hadFocus) next.focus()
    release(before)
    if (plays) this.#play(next)
    this.#show()
    this.#played()
  }

  /** Of a video that loads in vain. */
  #drop(): void {
    const next = this.#next
    this.#next = undefined
    if (next !== undefined) release(next)
  }

  #goesOn(): boolean {
    return (this.#isLive && this.#follows) || !this.#video.paused || this.#video.ended
  }

  #play(video: HTMLVideoElement): void {
    video.play().catch((error: unknown) => {
      const refused = error instanceof DOMException && error.name === 'NotAllowedError'
      if (!refused || video !== this.#video) return
      if (video.muted) return this.#leaveLive()
      // Browsers let a page play sound only once someone has touched it.
      video.muted = true
      this.#play(video)
    })
  }

  /** A person's wish, perhaps behind what this `<video>` knows of the recording. */
  #seekTo(ms: number): void {
    if (ms < this.#loadedMs) {
      this.#video.currentTime = ms / 1000
    } else {
      this.#leaveLive()
      this.#load({ atMs: ms })
    }
  }

  #seek(video: HTMLVideoElement, atS: number): void {
    this.#ownSeekS = atS
    video.currentTime = atS
  }

  #isOwnSeek(video: HTMLVideoElement): boolean {
    const own = this.#ownSeekS !== undefined && Math.abs(video.currentTime - this.#ownSeekS) < 0.5
    this.#ownSeekS = undefined
    return own
  }

  #goLive(): void {
    this.#follows = true
    const last = (this.#track?.files.length ?? 0) - 1
    const file = this.#track?.files[last]
    if (file === undefined) return
    // Whoever is nearer to the end already stays there.
    const nearest = last === this.#file ? this.#video.currentTime * 1000 : 0
    this.#file = last
    this.#load({ atMs: Math.max(nearest, livePositionMs(file.durationMs)) })
    this.#show()
  }

  #leaveLive(): void {
    if (!this.#isLive || !this.#follows) return
    this.#follows = false
    this.#show()
  }

  #nearEnd(): boolean {
    return this.#video.currentTime > this.#loadedMs / 1000 - NEAR_END_S
  }

  #played(): void {
    const file = this.#track?.files[this.#file]
    this.#bar.at(this.#video.currentTime * 1000)
    if (file === undefined || this.#next !== undefined || this.#video.seeking) return
    const skipToMs = endOfRepeated(file.repeated ?? [], this.#video.currentTime * 1000)
    if (skipToMs !== null) return this.#seek(this.#video, skipToMs / 1000)
    if (this.#isLive && this.#follows && isFarBehind(this.#video.currentTime * 1000, file.durationMs)) return this.#goLive()
    if (!this.#video.paused && this.#nearEnd() && file.durationMs > this.#loadedMs) this.#load()
  }

  #ended(): void {
    if (!this.#openNext()) this.#show()
  }

  /** Parts that could not join into one file play one after another. */
  #openNext(): boolean {
    if (this.#track?.files[this.#file + 1] === undefined) return false
    this.#open(this.#file + 1)
    this.#play(this.#video)
    return true
  }

  #open(file: number): void {
    this.#file = file
    this.#load({ atMs: 0, inPlace: true })
    this.#show()
  }

  #showMissing(missing: string[]): void {
    // Built anew only when it changed: what one reads or hears stays.
    if (missing.join('\n') === [...this.#gaps.children].map(({ textContent }) => textContent).join('\n')) return
    this.#gaps.replaceChildren(
      ...missing.map((text) => {
        const item = document.createElement('li')
        item.textContent = text
        return item
      }),
    )
  }

  /** Nearly always there is one file; of several each is chosen by a button. */
  #showFiles(count: number): void {
    if (count > 1 && this.#files.childElementCount !== count) {
      this.#files.replaceChildren(
        ...Array.from({ length: count }, (_, index) => {
          const button = document.createElement('button')
          button.type = 'button'
          button.textContent = `File ${index + 1}`
          button.addEventListener('click', () => {
            this.#leaveLive()
            this.#open(index)
          })
          return button
        }),
      )
    }
    for (const [index, button] of [...this.#files.children].entries()) button.setAttribute('aria-pressed', String(index === this.#file))
  }
}

/**
 * An address of its own for each length: browsers keep media in memory by address and would show what it was before.
 * Of `v` the service only asks that it differs.
 */
function addressOf(url: string, durationMs: number, access: string): string {
  const address = new URL(url, location.href)
  address.searchParams.set('v', `${address.searchParams.get('v') ?? ''}.${Math.round(durationMs)}`)
  address.searchParams.set('token', access)
  return address.href
}

/** Ends its download, which removing it from the page does not. */
function release(video: HTMLVideoElement): void {
  video.removeAttribute('src')
  video.load()
}
