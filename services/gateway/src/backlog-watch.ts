import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '@longtake/service'
import { backlogRecords } from './backlog.ts'

export interface BacklogWatchOptions {
  /** How far block-writer has come in each partition of recordings.chunks. */
  progress(this: void): Promise<readonly { completed: bigint; end: bigint }[]>
  /** Called with the number of records after each look. */
  onRecords(this: void, records: number): void
  everyMs: number
  logger: Logger
}

/**
 * Looks at the backlog again and again until it is disposed of. A look that fails changes nothing: while Kafka does not
 * answer nothing is acknowledged either, so the backlog does not grow.
 */
export function watchBacklog({ progress, onRecords, everyMs, logger }: BacklogWatchOptions): Disposable {
  const stopping = new AbortController()
  const run = async (): Promise<void> => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      try {
        const records = backlogRecords(await progress())
        if (stopping.signal.aborted) return
        onRecords(records)
        failures = 0
      } catch (error) {
        failures += 1
        if (failures % 10 === 1) logger.warn({ error, failures }, 'backlog of recordings.chunks could not be read, retrying: the last known value is used')
      }
      await delay(everyMs, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }
  void run()
  return { [Symbol.dispose]: () => stopping.abort() }
}
