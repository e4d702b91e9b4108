import { METRICS } from '@longtake/contracts'
import { metrics } from '@opentelemetry/api'

const meter = metrics.getMeter('longtake.completeness')

export const instruments = {
  sessions: meter.createObservableGauge(METRICS.sessions, { description: 'sessions of the partitions held, by status' }),
  gaps: meter.createCounter(METRICS.gaps, { description: 'ranges of chunks that became, ceased to be, or were confirmed as gaps' }),
  tooLarge: meter.createCounter(METRICS.tooLarge, { description: 'what could not be published for its size, by kind: what it is about stands still' }),
  unknownMessages: meter.createCounter(METRICS.unknownMessages, { description: 'messages of types this version does not know' }),
}
