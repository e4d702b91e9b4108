import { setTimeout as delay } from 'node:timers/promises'
import type { TcpLine } from '../../e2e/tcp-line.ts'
import { SERVICES } from '../../local/services.ts'
import { measureRecovery, type Recovery } from '../recovery.ts'
import type { Scenario, Trial } from '../scenario.ts'
import type { Stage } from '../stage.ts'

/** What befalls a line, each for some seconds. */
const TROUBLES: Readonly<Record<string, (line: TcpLine) => void>> = {
  cut: (line) => line.cut(),
  'requests lost': (line) => line.loseRequests(),
  'answers lost': (line) => line.loseAnswers(),
  slow: (line) => line.slow(400),
  narrow: (line) => line.narrow(30_000),
}

interface Between {
  readonly name: string
  line(stage: Stage): TcpLine | undefined
}

const LINES: readonly Between[] = [
  { name: 'clients and gateways', line: ({ clients }) => clients },
  ...SERVICES.map((service): Between => ({ name: `${service} and Kafka`, line: ({ toKafka }) => toKafka[service] })),
  ...(['block-writer', 'finalizer', 'remuxer', 'query'] as const).map((service): Between => ({ name: `${service} and Azurite`, line: ({ toStorage }) => toStorage[service] })),
]

async function trouble({ stage, load, random }: Trial, between: Between, kind: string): Promise<Recovery[]> {
  const line = between.line(stage)
  if (line === undefined) throw new Error(`there is no line between ${between.name}`)
  await delay(random.between(0, 1000))
  TROUBLES[kind]?.(line)
  await delay(random.between(2000, 7000))
  // Connections that a lost byte has made deaf stay so: finding that out is part of the recovery.
  line.mend()
  const measure = between.name.includes('gateway') ? 'acks' : 'status'
  return [await measureRecovery(`line (${kind})`, measure, stage, load)]
}

const one = { brokers: 'one broker' } as const
const KINDS = Object.keys(TROUBLES)

export const lines: readonly Scenario[] = [
  {
    ...one,
    name: 'any line in trouble',
    trials: { short: 1, long: 0 },
    strike: (trial) => trouble(trial, trial.random.pick(LINES), trial.random.pick(KINDS)),
  },
  // With all lines every kind comes several times.
  ...LINES.map((between, nth): Scenario => ({
    ...one,
    name: `trouble between ${between.name}`,
    trials: { short: 0, long: between.name.startsWith('clients') ? KINDS.length : 1 },
    strike: (trial) => trouble(trial, between, KINDS[(nth + trial.index) % KINDS.length] ?? 'cut'),
  })),
]
