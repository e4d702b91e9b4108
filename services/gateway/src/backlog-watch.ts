import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '@longtake/contracts'
import type { Logger } from '@longtake/service'
import { backlogRecords, type LogHistory } from './backlog.ts'

export interface BacklogWatchOptions {
  /** How far block-writer has come in each partition of recordings.chunks. */
  progress(this: void): Promise<readonly { completed: bigint; end: bigint }[]>
  /** What each partition of recordings.chunks holds. */
  extents(this: void): Promise<readonly { start: bigint; end: bigint }[]>
  history: LogHistory
  /** Called after each look. @param fault why the number is an estimate by what the log holds; undefined where it is not */
  onRecords(this: void, records: number, fault?: string): void
  /** Called after a look that saw nothing. @param fault why */
  onUnseen(this: void, fault: string): void
  everyMs: number
  /** A clock that is never set, in milliseconds. */
  steadyMs(this: void): number
  logger: Logger
}

/**
 * Looks at the backlog again and again until it is disposed of. Where only the progress of block-writer cannot be read, as for
 * want of the right to describe its group, the log itself has to say: a backlog level must neither stay for ever nor be
 * unknown while chunks are acknowledged.
 */
export function watchBacklog(options: BacklogWatchOptions): Disposable {
  const { progress, extents, history, onRecords, onUnseen, everyMs, steadyMs, logger } = options
  const stopping = new AbortController()
  let failures = 0
  const warn = (error: unknown, message: string): void => {
    failures += 1
    if (failures % 10 === 1) logger.warn({ error, failures }, message)
  }
  const look = async (): Promise<void> => {
    try {
      const seen = await progress()
      history.saw(seen, steadyMs())
      if (!stopping.signal.aborted) onRecords(backlogRecords(seen))
      failures = 0
    } catch (error) {
      const seen = await extents()
      history.saw(seen, steadyMs())
      if (stopping.signal.aborted) return
      warn(error, 'progress of block-writer could not be read, retrying: the backlog is estimated by what recordings.chunks holds')
      onRecords(history.overdueRecords(seen), `the progress of block-writer cannot be read: ${messageOf(error)}`)
    }
  }
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await look()
      } catch (error) {
        if (stopping.signal.aborted) return
        warn(error, 'backlog of recordings.chunks could not be read, retrying: the last known value and what was sent since are used')
        onUnseen(messageOf(error))
      }
      await delay(everyMs, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }
  void run()
  return { [Symbol.dispose]: () => stopping.abort() }
}
