import { parseLogLine } from './log-lines.ts'

/** What a repetition is counted over. */
const WINDOW_MS = 10_000
/** Different lines that are remembered; beyond, the oldest is forgotten and would be shown again. */
const MAX_REMEMBERED = 500
const SEVERE = new Set(['warn', 'error', 'fatal'])
const VARYING = new Set(['time', 'trace_id', 'span_id', 'trace_flags'])

/** The repetitions of one line within a window. */
export interface Repetition {
  service: string
  /** The latest of them, as written. */
  text: string
  count: number
  windowMs: number
}

interface Remembered {
  service: string
  latest: string
  /** Start of the present window, in ms. */
  since: number
  repeats: number
}

/** Decides which lines of output are shown: the first of its kind at once, its repetitions as one count every ten seconds. */
export class LogFolding {
  readonly #remembered = new Map<string, Remembered>()

  /** Whether this line is to be shown; otherwise it is counted. */
  add(service: string, text: string, nowMs: number): boolean {
    const kind = `${service} ${kindOf(text)}`
    const known = this.#remembered.get(kind)
    if (known !== undefined) {
      known.repeats += 1
      known.latest = text
      return false
    }
    this.#remembered.set(kind, { service, latest: text, since: nowMs, repeats: 0 })
    const [oldest] = this.#remembered.keys()
    if (this.#remembered.size > MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest)
    return true
  }

  /** The counts of all windows that have ended; what was not repeated within its window is forgotten. Call it about once a second. */
  takeEnded(nowMs: number): Repetition[] {
    const ended: Repetition[] = []
    for (const [kind, remembered] of this.#remembered) {
      const windowMs = nowMs - remembered.since
      if (windowMs < WINDOW_MS) continue
      if (remembered.repeats === 0) {
        this.#remembered.delete(kind)
        continue
      }
      ended.push({ service: remembered.service, text: remembered.latest, count: remembered.repeats, windowMs })
      remembered.since = nowMs
      remembered.repeats = 0
    }
    return ended
  }
}

/**
 * Lines of one kind differ in time only or, from level `warn` on, in ids and numbers: of an outage that hits 300 sessions, one line
 * and a count are of use.
 */
function kindOf(text: string): string {
  const record = parseLogLine(text)
  if (record === undefined) return withoutNumbers(text)
  if (!SEVERE.has(String(record['level']))) return JSON.stringify(Object.entries(record).filter(([key]) => !VARYING.has(key)))
  return JSON.stringify([record['level'], withoutNumbers(String(record['message'])), kindOfError(record['error'])])
}

function kindOfError(error: unknown): unknown {
  if (typeof error !== 'object' || error === null) return withoutNumbers(JSON.stringify(error ?? ''))
  return 'code' in error ? error.code : 'type' in error ? error.type : ''
}

const withoutNumbers = (text: string): string => text.replaceAll(/\d+/g, '#')
