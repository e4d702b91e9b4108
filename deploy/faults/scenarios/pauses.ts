import { setTimeout as delay } from 'node:timers/promises'
import { SERVICES, type ServiceName } from '../../local/services.ts'
import { LIGHT } from '../load.ts'
import { measureRecovery, type Recovery } from '../recovery.ts'
import type { Scenario, Trial } from '../scenario.ts'
import { SHOWS } from './kills.ts'

/** Longer than Kafka keeps a silent consumer's partitions for it (15 s): when it goes on, another owns them. */
const ZOMBIE_MS = 18_000

/** One instance stands still and goes on later, not knowing that it was away. */
async function pauseService({ stage, load, random }: Trial, service: ServiceName, pauseMs: number): Promise<Recovery[]> {
  const { processes } = stage.system
  const name = stage.pick(service, random)
  await delay(random.between(0, 1000))
  const recovered = measureRecovery(`${service} paused`, SHOWS[service], stage, load)
  processes.kill(name, 'SIGSTOP')
  const gone = delay(pauseMs).then(() => processes.kill(name, 'SIGCONT'))
  const [recovery] = await Promise.all([recovered, gone])
  return [recovery]
}

/** Kafka or Azurite stands still: connections stay open, nothing answers. */
async function pauseInfrastructure({ stage, load, random }: Trial, name: 'kafka' | 'azurite', pauseMs: number): Promise<Recovery[]> {
  const part = name === 'kafka' ? stage.system.kafka : stage.system.azurite
  if (part === undefined) throw new Error(`${name} is not ours`)
  await delay(random.between(0, 1000))
  const recovered = measureRecovery(`${name} paused`, name === 'kafka' ? 'acks' : 'status', stage, load)
  part.child.signal('SIGSTOP')
  const gone = delay(pauseMs).then(() => part.child.signal('SIGCONT'))
  const [recovery] = await Promise.all([recovered, gone])
  return [recovery]
}

const one = { brokers: 'one broker' } as const
/** Those that own partitions, and the one that owns connections. */
const OWNERS: readonly ServiceName[] = ['gateway', 'block-writer', 'completeness', 'finalizer']

export const pauses: readonly Scenario[] = [
  {
    ...one,
    name: 'SIGSTOP of one of each until its partitions have moved',
    trials: { short: 1, long: 1 },
    load: { ...LIGHT, steady: 3 },
    strike: async (trial) => (await Promise.all(OWNERS.map((service) => pauseService(trial, service, ZOMBIE_MS)))).flat(),
  },
  ...OWNERS.map((service): Scenario => ({ ...one, name: `SIGSTOP ${service} until its partitions have moved`, trials: { short: 0, long: 1 }, strike: (trial) => pauseService(trial, service, ZOMBIE_MS) })),
  { ...one, name: 'SIGSTOP a service for seconds', trials: { short: 0, long: 2 }, strike: (trial) => pauseService(trial, trial.random.pick(SERVICES), trial.random.between(500, 6000)) },
  { ...one, name: 'SIGSTOP Kafka for seconds', trials: { short: 0, long: 1 }, strike: (trial) => pauseInfrastructure(trial, 'kafka', trial.random.between(1000, 20_000)) },
  { ...one, name: 'SIGSTOP Azurite for seconds', trials: { short: 0, long: 1 }, strike: (trial) => pauseInfrastructure(trial, 'azurite', trial.random.between(1000, 20_000)) },
]
