import { isStaleMetadata } from '../cluster.ts'
import { KafkaError, protocolError, RETRIABLE_AFTER_ALL, toKafkaError } from '../errors.ts'
import { createErrorFromCode } from '../kafkajs.ts'
import type { Lane } from './lane.ts'
import type { Outcome } from './produce.ts'

/** Kafka's error code, which kafkajs does not know. */
const PRODUCER_FENCED = 90

/**
 * What is to be done next with a lane:
 * - `next-batch`: the batch is settled, or goes again at once;
 * - `retry`: it goes again after a pause, with fresh metadata if so said;
 * - `restarted`: likewise, under another epoch; `mayRepeat` if it may be in the log already;
 * - `locate`: the broker has it, and does not say where: see {@link Lane.acknowledgedUpTo}.
 */
export type NextStep =
  | { next: 'next-batch' }
  | { next: 'retry'; error: Error; refresh: boolean }
  | { next: 'restarted'; error: Error; mayRepeat: boolean }
  | { next: 'locate'; error: Error }

/** Applies the outcome of a lane's batch to the lane. Without I/O. */
export function settle(lane: Lane, outcome: Outcome, now: number): NextStep {
  if ('offset' in outcome) {
    lane.acknowledged(outcome.offset)
    return { next: 'next-batch' }
  }
  const error = 'code' in outcome ? createErrorFromCode(outcome.code) : outcome.error
  const verdict = judge(outcome, error)
  switch (verdict) {
    case 'retry':
      lane.failed(error, now)
      return { next: 'retry', error, refresh: isStaleMetadata(error) }
    case 'duplicate':
      if (lane.inDoubt) return { next: 'locate', error }
      return restart(lane, error)
    case 'out-of-sequence': {
      // The word of a leader that was replaced without its knowledge is not enough: asked again with fresh metadata.
      const again = protocolError(lane.lastError) === protocolError(error)
      if (again) return restart(lane, error)
      lane.failed(error, now)
      return { next: 'retry', error, refresh: true }
    }
    case 'fenced': {
      const mayRepeat = lane.inDoubt
      lane.failures += 1
      lane.forgetIdentity()
      return { next: 'restarted', error, mayRepeat }
    }
    case 'refuse-all':
      lane.refusedAll(toKafkaError(error, `sending to ${lane.topic}`))
      return { next: 'next-batch' }
    case 'KAFKA_RECORD_TOO_LARGE':
    case 'KAFKA_RECORD_INVALID':
      lane.refused(new KafkaError(verdict, `${lane.topic} refused a record: ${error.message}`, { cause: error }))
      return { next: 'next-batch' }
  }
}

/**
 * The leader's log does not end with the batch before this one. Nor does it end with this one, or it would have been
 * recognized: so this one is not in that log, and goes again under a new epoch. Records before it were lost, as after
 * an unclean election, unless the broker has merely forgotten the producer (UNKNOWN_PRODUCER_ID, before Kafka 2.5).
 */
function restart(lane: Lane, error: Error): NextStep {
  const mayRepeat = lane.inDoubt && protocolError(error) === 'UNKNOWN_PRODUCER_ID'
  lane.failures += 1
  lane.lastError = undefined
  lane.newEpoch()
  return { next: 'restarted', error, mayRepeat }
}

type Verdict = 'retry' | 'duplicate' | 'out-of-sequence' | 'fenced' | 'refuse-all' | 'KAFKA_RECORD_TOO_LARGE' | 'KAFKA_RECORD_INVALID'

function judge(outcome: { code: number } | { error: Error }, error: Error & { type?: string; retriable?: boolean }): Verdict {
  // Not the broker's word about this batch: a connection, a login, or a fault of ours that must not lose the record.
  if ('error' in outcome) return 'retry'
  if (outcome.code === PRODUCER_FENCED) return 'fenced'
  switch (error.type) {
    case 'MESSAGE_TOO_LARGE':
    case 'RECORD_LIST_TOO_LARGE':
      return 'KAFKA_RECORD_TOO_LARGE'
    case 'INVALID_RECORD':
    case 'INVALID_TIMESTAMP':
      return 'KAFKA_RECORD_INVALID'
    case 'DUPLICATE_SEQUENCE_NUMBER':
      return 'duplicate'
    case 'OUT_OF_ORDER_SEQUENCE_NUMBER':
    case 'UNKNOWN_PRODUCER_ID':
      return 'out-of-sequence'
    case 'INVALID_PRODUCER_EPOCH':
    case 'PRODUCER_FENCED':
      return 'fenced'
    default:
      return error.retriable === true || RETRIABLE_AFTER_ALL.has(error.type ?? '') ? 'retry' : 'refuse-all'
  }
}
