import type { PublicSession } from '@longtake/contracts'
import { clock } from './access.ts'
import { causeWords, unrecordedWords } from './missing-words.ts'

type Gap = PublicSession['tracks'][string]['parts'][number]['gaps'][number]
/** A gap on the file's own timeline. */
type PlacedGap = Gap & { startMs: number }

/** So wide is even the shortest gap, in percent: what is missing must be seen. */
const NARROWEST = 0.6

/** A thin bar under the picture: what is recorded, what is missing, where one is. A click goes there; keyboards have the player's own bar. */
export class TimelineBar {
  readonly element = document.createElement('div')
  readonly #played = document.createElement('div')
  #durationMs = 0
  #gaps = ''

  constructor(seek: (ms: number) => void) {
    this.element.className = 'timeline'
    this.element.setAttribute('role', 'img')
    this.#played.className = 'played'
    this.element.append(this.#played)
    this.element.addEventListener('click', ({ clientX }) => {
      const { left, width } = this.element.getBoundingClientRect()
      if (width > 0) seek(((clientX - left) / width) * this.#durationMs)
    })
  }

  show(durationMs: number, gaps: readonly Gap[]): void {
    const known = JSON.stringify([durationMs, gaps])
    if (known === this.#gaps) return
    this.#gaps = known
    this.#durationMs = durationMs
    const placed = gaps.filter((gap): gap is PlacedGap => gap.startMs !== null)
    this.element.setAttribute('aria-label', `${clock(durationMs)} recorded, ${gaps.length === 0 ? 'no gaps' : gaps.length === 1 ? 'one gap' : `${gaps.length} gaps`}`)
    this.element.replaceChildren(this.#played, ...placed.map((gap) => this.#mark(gap)))
  }

  at(ms: number): void {
    this.#played.style.width = `${this.#percent(ms)}%`
  }

  #mark(gap: PlacedGap): HTMLElement {
    const mark = document.createElement('div')
    const from = Math.min(this.#percent(gap.startMs), 100 - NARROWEST)
    mark.className = `gap ${gap.state}`
    mark.title = gapWords(gap)
    mark.style.left = `${from}%`
    mark.style.width = `${Math.max(this.#percent(gap.endMs ?? this.#durationMs) - from, NARROWEST)}%`
    return mark
  }

  #percent(ms: number): number {
    return this.#durationMs === 0 ? 0 : Math.min(100, Math.max(0, (ms / this.#durationMs) * 100))
  }
}

const KINDS: Record<Gap['kind'], string> = {
  lost: 'missing',
  undecodable: 'cannot be played',
  'not-recorded': 'nothing was recorded',
}

export function gapWords({ from, to, startMs, endMs, kind, state, cause, unrecorded }: Gap): string {
  const chunks = from === to ? `chunk ${from}` : `chunks ${from}–${to}`
  const when = startMs === null ? chunks : `${clock(startMs)}–${endMs === null ? '…' : clock(endMs)}`
  const what = unrecorded === undefined ? KINDS[kind] : unrecordedWords(unrecorded)
  return `${when}: ${what}${cause === null ? '' : ` (${causeWords(cause)})`}${state === 'open' ? ', may still come' : ''}`
}
