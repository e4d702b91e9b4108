// oxlint-disable-next-line import/no-absolute-path -- the library's own bundle, at its address
import { preflight, type PreflightOptions, type PreflightResult } from '/pages/recorder/index.js'

const SIGNS = { ok: '•', warn: '!', fail: '×' } as const

/** Looks at what recording needs and lists it. The latest look counts, also where an earlier one takes longer. */
export class Checks {
  readonly #list: HTMLUListElement
  #look = 0

  constructor(list: HTMLUListElement) {
    this.#list = list
  }

  async run(options: PreflightOptions): Promise<void> {
    const look = ++this.#look
    const result = await preflight(options)
    if (look === this.#look) this.#show(result)
  }

  clear(): void {
    this.#look += 1
    this.#list.replaceChildren()
  }

  #show({ points }: PreflightResult): void {
    // What may go without saying is not said.
    const told = points.filter(({ point, verdict }) => verdict !== 'ok' || (point !== 'format' && point !== 'browser'))
    this.#list.replaceChildren(
      ...told.map(({ point, verdict, words }) => {
        const item = document.createElement('li')
        item.dataset['point'] = point
        item.dataset['verdict'] = verdict
        const sign = document.createElement('span')
        sign.textContent = SIGNS[verdict]
        item.append(sign, words)
        return item
      }),
    )
  }
}
