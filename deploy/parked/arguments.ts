import { parseArgs } from 'node:util'
import type { Selection } from './backlog.ts'

export interface Command {
  readonly replay: boolean
  readonly dryRun: boolean
  readonly selection: Selection
  /** Records listed at most. */
  readonly limit: number
}

export const USAGE = `npm run parked                                     what is parked
npm run parked -- --reason R --session S --limit n
npm run parked -- replay --reason R --session S    sends those back
npm run parked -- replay 3:1402 unwritable:7:15    sends these back (as listed)
npm run parked -- replay --all                     sends everything back
                         --dry-run                 only says what would be sent back`

/** Wrong arguments; the message says what would be right. */
export class UsageError extends Error {}

/** @param args the command line without program and script */
export function readCommand(args: readonly string[]): Command {
  const { values, positionals } = parse(args)
  const [word, ...positions] = positionals
  if (word !== undefined && word !== 'replay') throw new UsageError(`there is no command ${word}`)
  for (const position of positions) if (!/^(unwritable:)?\d+:\d+$/.test(position)) throw new UsageError(`${position} is no partition:offset, as 3:1402 or unwritable:7:15`)
  const { session, reason, all = false, limit = '50' } = values
  const isNarrow = positions.length > 0 || session !== undefined || reason !== undefined
  const replay = word === 'replay'
  if (replay && !isNarrow && !all) throw new UsageError('say what to send back: --reason, --session, partition:offset, or --all')
  if (isNarrow && all) throw new UsageError('--all goes with nothing that selects')
  if (!/^[1-9]\d{0,6}$/.test(limit)) throw new UsageError(`--limit ${limit} is no number of records`)
  return { replay, dryRun: values['dry-run'] ?? false, selection: { session, reason, positions }, limit: Number(limit) }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { session: { type: 'string' }, reason: { type: 'string' }, all: { type: 'boolean' }, limit: { type: 'string' }, 'dry-run': { type: 'boolean' } },
    })
  } catch (error) {
    // The first sentence says it all.
    throw new UsageError((error as Error).message.split('. ')[0]!, { cause: error })
  }
}
