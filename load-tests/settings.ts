import { parseArgs } from 'node:util'
import { SetupError } from '../deploy/local/setup-error.ts'

/** One run. Every number has its own command line option, as `--at-once 50`. */
export interface LoadSettings {
  sessions: number
  /** Sessions recording at the same time. */
  'at-once': number
  /** Recorded in each session, on each of its two tracks. */
  seconds: number
  /** 1: a chunk a second on each track, as in life. */
  speed: number
  /** The first sessions begin at random moments within so many seconds. */
  'ramp-seconds': number
  'ack-p95-ms': number
  'ack-p99-ms': number
}

const PROFILES = {
  /** Runs on any developer's machine in under a minute. */
  small: { sessions: 20, 'at-once': 20, seconds: 15, speed: 1, 'ramp-seconds': 5, 'ack-p95-ms': 1000, 'ack-p99-ms': 2500 },
  /** What a machine can keep up for a while. */
  steady: { sessions: 100, 'at-once': 100, seconds: 600, speed: 1, 'ramp-seconds': 30, 'ack-p95-ms': 1000, 'ack-p99-ms': 2500 },
  /** A beginning exam: many start within seconds, and end together. */
  exam: { sessions: 500, 'at-once': 500, seconds: 120, speed: 1, 'ramp-seconds': 20, 'ack-p95-ms': 2000, 'ack-p99-ms': 5000 },
  /** Recorders that come back online with a full spool: as fast as windows allow. */
  flood: { sessions: 50, 'at-once': 50, seconds: 120, speed: 20, 'ramp-seconds': 0, 'ack-p95-ms': 10_000, 'ack-p99-ms': 20_000 },
} as const satisfies Record<string, LoadSettings>

/** A connection has 256 handles, and a part is as long as the recording it plays: 12 s at least. */
const BOUNDS: Record<keyof LoadSettings, [number, number]> = {
  sessions: [1, 100_000],
  'at-once': [1, 10_000],
  seconds: [1, 1_800],
  speed: [0.1, 100],
  'ramp-seconds': [0, 600],
  'ack-p95-ms': [1, 600_000],
  'ack-p99-ms': [1, 600_000],
}
const NAMES = Object.keys(BOUNDS) as (keyof LoadSettings)[]

export const USAGE = `npm run load [-- --profile ${Object.keys(PROFILES).join('|')} --keep ${NAMES.map((name) => `--${name} n`).join(' ')}]`

/** @param args the command line without program and script */
export function readSettings(args: readonly string[]): { settings: LoadSettings; keep: boolean; profile: string } {
  const { profile, keep, ...given } = parse(args)
  if (!Object.hasOwn(PROFILES, profile)) throw new SetupError(`there is no profile ${profile}: ${USAGE}`)
  const settings: LoadSettings = { ...PROFILES[profile as keyof typeof PROFILES] }
  for (const name of NAMES) {
    const text = given[name]
    if (text === undefined) continue
    const [least, most] = BOUNDS[name]
    const value = Number(text)
    if (!(value >= least && value <= most)) throw new SetupError(`--${name} ${text} is not from ${least} to ${most}.`)
    settings[name] = value
  }
  // More sessions asked for without saying how many at once means all of them.
  if (given.sessions !== undefined && given['at-once'] === undefined) settings['at-once'] = Math.min(settings.sessions, BOUNDS['at-once'][1])
  return { settings, keep, profile }
}

function parse(args: readonly string[]): { profile: string; keep: boolean } & Partial<Record<keyof LoadSettings, string>> {
  const numbers = Object.fromEntries(NAMES.map((name) => [name, { type: 'string' as const }]))
  try {
    const { values } = parseArgs({ args: [...args], options: { ...numbers, profile: { type: 'string' }, keep: { type: 'boolean' } } })
    return { ...(values as Partial<Record<keyof LoadSettings, string>>), profile: values.profile as string ?? 'small', keep: values.keep === true }
  } catch (error) {
    throw new SetupError(`${(error as Error).message.split('\n')[0]}: ${USAGE}`, { cause: error })
  }
}
