import { metrics } from '@opentelemetry/api'

/**
 * Instruments are made at the first use, not at import: until a provider is registered, the API hands out ones that
 * never count. Labels are topics, groups and outcomes, never sessions.
 */
function make() {
  const meter = metrics.getMeter('@longtake/kafka')
  return {
    queuedBytes: meter.createUpDownCounter('longtake.kafka.producer.queued', { unit: 'By', description: 'bytes sent by callers and not yet acknowledged' }),
    ackDuration: meter.createHistogram('longtake.kafka.producer.ack.duration', { unit: 's', description: 'from send to acknowledgement' }),
    batchBytes: meter.createHistogram('longtake.kafka.producer.batch.size', { unit: 'By', description: 'bytes of acknowledged batches' }),
    batchRecords: meter.createHistogram('longtake.kafka.producer.batch.records', { unit: '{record}', description: 'records of acknowledged batches' }),
    sendRetries: meter.createCounter('longtake.kafka.producer.retries', { unit: '{batch}', description: 'batches sent again' }),
    producerEpochs: meter.createCounter('longtake.kafka.producer.epochs', { unit: '{epoch}', description: 'new epochs of partitions because the broker rejected a sequence' }),
    handlerRetries: meter.createCounter('longtake.kafka.consumer.retries', { unit: '{record}', description: 'records given to a failing handler again' }),
    parked: meter.createCounter('longtake.parked', { unit: '{record}', description: 'records set aside with a reason' }),
    lag: meter.createGauge('longtake.kafka.consumer.lag', { unit: '{record}', description: 'records behind the end, over all partitions of this member' }),
    rebalances: meter.createCounter('longtake.kafka.consumer.rebalances', { unit: '{rebalance}', description: 'generations this member took part in' }),
    skipped: meter.createCounter('longtake.kafka.consumer.skipped', { unit: '{partition}', description: 'partitions begun without a committed offset behind records that were deleted' }),
    truncations: meter.createCounter('longtake.kafka.truncations', { unit: '{partition}', description: 'truncations behind committed offsets by outcome: truncated, failed' }),
    truncationOverdue: meter.createGauge('longtake.kafka.truncation.overdue', { unit: 's', description: 'how long the oldest truncation has been due: disk that could be free' }),
    unexpectedAnswers: meter.createCounter('longtake.kafka.fetch.unexpected', { unit: '{answer}', description: 'answers of brokers that did not fit what was asked, and were not used' }),
    lost: meter.createCounter('longtake.kafka.consumer.lost', { unit: '{partition}', description: 'partitions lost without a hand-over' }),
  }
}

let made: ReturnType<typeof make> | undefined
export const instruments = (): ReturnType<typeof make> => (made ??= make())
