// oxlint-disable-next-line import/no-absolute-path -- the library's own bundle, at its address
import type { Amount, RecorderProgress, TrackProgress } from '/pages/recorder/index.js'
import { size } from './access.ts'

const COLUMNS = ['recorded', 'acknowledged', 'waiting'] as const satisfies readonly (keyof TrackProgress)[]

/** A row for each track; the exact numbers stand in `data-chunks` and `data-bytes` of its cells. */
export class ProgressTable {
  readonly #body: HTMLTableSectionElement
  readonly #rows = new Map<string, HTMLTableRowElement>()

  constructor(body: HTMLTableSectionElement) {
    this.#body = body
  }

  show(progress: RecorderProgress): void {
    for (const [track, amounts] of Object.entries(progress)) {
      const row = this.#rows.get(track) ?? this.#add(track)
      for (const column of COLUMNS) fill(row.querySelector<HTMLTableCellElement>(`[data-cell="${column}"]`), amounts[column])
    }
  }

  clear(): void {
    this.#rows.clear()
    this.#body.replaceChildren()
  }

  #add(track: string): HTMLTableRowElement {
    const row = document.createElement('tr')
    row.dataset['track'] = track
    const name = document.createElement('th')
    name.scope = 'row'
    name.textContent = track
    row.append(name, ...COLUMNS.map(cellOf))
    this.#body.append(row)
    this.#rows.set(track, row)
    return row
  }
}

function cellOf(column: string): HTMLTableCellElement {
  const cell = document.createElement('td')
  cell.dataset['cell'] = column
  return cell
}

function fill(cell: HTMLTableCellElement | null, { chunks, bytes }: Amount): void {
  if (cell === null) return
  cell.dataset['chunks'] = String(chunks)
  cell.dataset['bytes'] = String(bytes)
  cell.textContent = chunks === 0 ? '–' : `${size(bytes)} in ${chunks} ${chunks === 1 ? 'chunk' : 'chunks'}`
}
