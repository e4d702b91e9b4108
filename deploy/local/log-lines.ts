import { styleText } from 'node:util'
import type { Repetition } from './log-folding.ts'

type Style = Parameters<typeof styleText>[0]

const COLOURS: Record<string, Style> = { fatal: 'red', error: 'red', warn: 'yellow', info: 'green' }
// Said by the columns, or only of use where many machines' logs meet.
const LEFT_OUT = new Set(['time', 'level', 'service', 'instance', 'message', 'error', 'pid', 'hostname', 'trace_id', 'span_id', 'trace_flags'])

/**
 * A service's line of output for human eyes: `HH:MM:SS service level message key=value …`. Services log JSON objects;
 * what is none (a crash's last words) is shown as it is.
 */
export function renderLogLine(service: string, text: string, now: Date = new Date()): string {
  const record = parseLogLine(text)
  const level = typeof record?.['level'] === 'string' ? record['level'] : ''
  const at = typeof record?.['time'] === 'string' ? new Date(record['time']) : now
  const columns = [clock(at), styleText('cyan', service.padEnd(12)), styleText(COLOURS[level] ?? 'dim', level.padEnd(5))]
  if (record === undefined) return [...columns, text].join(' ')
  const fields = Object.entries(record).filter(([key]) => !LEFT_OUT.has(key))
  const line = [...columns, show(record['message'] ?? ''), ...fields.map(([key, value]) => `${styleText('dim', `${key}=`)}${show(value)}`)].join(' ')
  return line + showError(record['error'])
}

/** The count of a line's repetitions, in the columns of {@link renderLogLine}. */
export function renderRepetition({ service, text, count, windowMs }: Repetition, now: Date = new Date()): string {
  const record = parseLogLine(text)
  const message = record === undefined ? text : show(record['message'] ?? '')
  const times = count === 1 ? 'once' : `${count} times`
  const level = record === undefined ? {} : { level: record['level'] }
  return renderLogLine(service, JSON.stringify({ ...level, message: `${message} (repeated ${times} in the last ${Math.round(windowMs / 1000)} s)` }), now)
}

/** The record of a line; undefined where the line is no JSON object. */
export function parseLogLine(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith('{')) return undefined
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function showError(error: unknown): string {
  if (error === undefined) return ''
  return describeError(error)
    .split('\n')
    .map((line) => `\n    ${line}`)
    .join('')
}

/** Warnings carry no stack (libs/service), only what the error was. */
function describeError(error: unknown): string {
  if (typeof error !== 'object' || error === null) return show(error)
  const { stack, type, code, message } = error as Record<string, unknown>
  if (typeof stack === 'string') return stack
  if (typeof message !== 'string') return show(error)
  return `${[type, code].filter((part) => typeof part === 'string').join(' ')}: ${message}`
}

function clock(at: Date): string {
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':')
}
