import type { SourceLook } from './source-rules.ts'

export interface SourcesEvents {
  /** Something may be different: look. */
  changed(): void
  /** The browser says it of one of the sources. `ended`: unplugged, or no longer shared; not where the page stopped it. */
  told(event: 'muted' | 'unmuted' | 'ended', source: MediaStreamTrack): void
}

/** The `MediaStreamTrack`s of a stream, as they were when it was given. */
export class Sources {
  readonly all: readonly MediaStreamTrack[]
  readonly #unlisten = new AbortController()

  constructor(stream: MediaStream, events: SourcesEvents) {
    this.all = stream.getTracks()
    const listen = { signal: this.#unlisten.signal }
    for (const source of this.all) {
      for (const [name, told] of [['mute', 'muted'], ['unmute', 'unmuted'], ['ended', 'ended']] as const) {
        source.addEventListener(
          name,
          () => {
            events.told(told, source)
            events.changed()
          },
          listen,
        )
      }
    }
  }

  look(): SourceLook[] {
    return this.all.map((source) => ({ id: source.id, kind: source.kind, live: source.readyState === 'live', muted: source.muted, shape: shapeOf(source) }))
  }

  /** @param looks of these */
  pick(looks: readonly SourceLook[]): MediaStreamTrack[] {
    return looks.flatMap(({ id }) => this.all.find((source) => source.id === id) ?? [])
  }

  close(): void {
    this.#unlisten.abort()
  }
}

/** A shared screen tells when another window is shared only by its settings; events for changed sizes are not in all browsers. */
function shapeOf(source: MediaStreamTrack): string {
  const { width, height, sampleRate, channelCount, displaySurface, deviceId } = source.getSettings() as MediaTrackSettings & { displaySurface?: string }
  const size = width && height ? `${width}×${height}` : ''
  const sound = sampleRate && channelCount ? `${sampleRate} Hz × ${channelCount}` : ''
  const shape = source.kind === 'video' ? size : sound
  const surface = displaySurface === undefined ? '' : ` ${displaySurface} ${deviceId ?? ''}`
  return shape === '' ? '' : shape + surface
}
