// oxlint-disable-next-line import/no-absolute-path -- the library's own bundle, at its address
import type { Report, StorageLeft } from '/pages/recorder/index.js'

/** Less is worth a word. */
const LITTLE_MINUTES = 10

export interface NoteAction {
  label: string
  run(): void
}

/** What is wrong at present, or went wrong: a note of the same topic takes the place of the one before. */
export class Notes {
  readonly #list: HTMLUListElement
  readonly #byTopic = new Map<string, HTMLLIElement>()

  constructor(list: HTMLUListElement) {
    this.#list = list
  }

  show(topic: string, words: string, action?: NoteAction): void {
    const item = document.createElement('li')
    item.dataset['topic'] = topic
    item.textContent = words
    if (action !== undefined) {
      const button = document.createElement('button')
      button.type = 'button'
      button.textContent = action.label
      button.addEventListener('click', () => action.run())
      item.append(' ', button)
    }
    const before = this.#byTopic.get(topic)
    // Said again only when it changed: screen readers read every change aloud.
    if (before?.textContent === item.textContent) return
    if (before === undefined) this.#list.append(item)
    else before.replaceWith(item)
    this.#byTopic.set(topic, item)
  }

  drop(topic: string): void {
    this.#byTopic.get(topic)?.remove()
    this.#byTopic.delete(topic)
  }

  /** What was wrong with what was being recorded is over; errors stay. */
  recordingEnded(): void {
    for (const topic of this.#byTopic.keys()) if (!topic.startsWith('error')) this.drop(topic)
  }

  clear(): void {
    this.#byTopic.clear()
    this.#list.replaceChildren()
  }

  /** @param again brings back what the track lost */
  report({ event, track = '', detail = '' }: Report, again: (track: string) => void): void {
    const source = detail.startsWith('audio') ? 'microphone' : track === 'screen' ? 'screen' : 'camera'
    switch (event) {
      case 'muted':
        return this.show(`muted ${track} ${source}`, `The ${source} is muted: it is not recorded until it is switched on again`)
      case 'unmuted':
        return this.drop(`muted ${track} ${source}`)
      case 'device-lost':
        this.drop(`muted ${track} ${source}`)
        return this.show(`lost ${track}`, source === 'screen' ? 'The screen is no longer shared' : `The ${source} is gone`, { label: 'Record it again', run: () => again(track) })
      case 'stalled':
        return this.show(`stalled ${track}`, `The ${track === 'screen' ? 'screen' : 'camera'} delivers nothing at present (${detail})`)
      case 'recovered':
        return this.drop(`stalled ${track}`)
      case 'silent':
        return this.show(`silent ${track}`, 'No sound comes from the microphone: check that it is switched on')
      case 'audible':
        return this.drop(`silent ${track}`)
      case 'bitrate-lowered':
        return this.show('bitrate', 'Slow connection: video quality reduced')
      case 'bitrate-raised':
        return this.drop('bitrate')
      case 'slept':
        return this.show('slept', `This computer slept ${detail}: nothing was recorded meanwhile`)
      case 'frozen':
        return this.show('frozen', `The page was frozen by the browser ${detail}`)
    }
  }

  storage({ minutes }: StorageLeft): void {
    if (minutes >= LITTLE_MINUTES) return this.drop('storage')
    this.show('storage', `This computer has space for at most ${minutes === 1 ? '1 minute' : `${minutes} minutes`} of recording without a connection: free some`)
  }
}
