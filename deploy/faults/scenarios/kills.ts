import { setTimeout as delay } from 'node:timers/promises'
import { SERVICES, type ServiceName } from '../../local/services.ts'
import { VARIED } from '../load.ts'
import { measureRecovery, type Measure, type Recovery } from '../recovery.ts'
import type { Scenario, Trial } from '../scenario.ts'
import { instancesOf } from '../stage.ts'

/** Where it shows that a service works again. */
export const SHOWS: Readonly<Record<ServiceName, Exclude<Measure, 'stall'>>> = {
  gateway: 'acks',
  'block-writer': 'status',
  completeness: 'status',
  finalizer: 'finalized',
  remuxer: 'poster',
  query: 'status',
}

/** One instance dies at a random moment and is started again after a random pause. */
export async function killService({ stage, load, random }: Trial, service: ServiceName): Promise<Recovery[]> {
  const { processes } = stage.system
  const name = stage.pick(service, random)
  await delay(random.between(0, 2000))
  const recovered = measureRecovery(service, SHOWS[service], stage, load)
  processes.kill(name)
  const restarted = delay(random.between(0, 3000)).then(() => processes.restart(name))
  const [recovery] = await Promise.all([recovered, restarted])
  return [recovery]
}

export async function killKafka({ stage, load, random }: Trial): Promise<Recovery[]> {
  const broker = random.pick(stage.brokers)
  await delay(random.between(0, 2000))
  const recovered = (['acks', 'status'] as const).map((measure) => measureRecovery('kafka', measure, stage, load))
  broker.kill()
  const restarted = delay(random.between(0, 3000)).then(() => broker.restart())
  const [recoveries] = await Promise.all([Promise.all(recovered), restarted])
  return recoveries
}

export async function killAzurite({ stage, load, random }: Trial): Promise<Recovery[]> {
  const { azurite } = stage.system
  if (azurite === undefined) throw new Error('the storage is not ours')
  await delay(random.between(0, 2000))
  const recovered = measureRecovery('azurite', 'status', stage, load)
  azurite.kill()
  const restarted = delay(random.between(0, 3000)).then(() => azurite.restart())
  const [recovery] = await Promise.all([recovered, restarted])
  return [recovery]
}

/** All instances of a service at once: nobody can take over. */
async function killAllOf({ stage, load, random }: Trial, service: ServiceName): Promise<Recovery[]> {
  const { system } = stage
  const names = instancesOf(system, service)
  await delay(random.between(0, 2000))
  const recovered = measureRecovery(`all of ${service}`, SHOWS[service], stage, load)
  for (const name of names) system.processes.kill(name)
  const restarted = delay(random.between(0, 3000)).then(() => Promise.all(names.map((name) => system.processes.restart(name))))
  const [recovery] = await Promise.all([recovered, restarted])
  return [recovery]
}

/** Every process there is, Kafka and Azurite included, as when the power fails. */
async function killEverything({ stage, load, random }: Trial): Promise<Recovery[]> {
  const { processes, azurite } = stage.system
  await delay(random.between(0, 2000))
  const recovered = (['acks', 'status'] as const).map((measure) => measureRecovery('everything', measure, stage, load))
  for (const name of processes.names()) processes.kill(name)
  for (const broker of stage.brokers) broker.kill()
  azurite?.kill()
  const restarted = delay(random.between(0, 3000)).then(() => stage.restore())
  const [recoveries] = await Promise.all([Promise.all(recovered), restarted])
  return recoveries
}

/** After that a gateway has noticed that a client which polls is gone. */
const VANISHED_MS = 17_000

const one = { brokers: 'one broker' } as const

export const kills: readonly Scenario[] = [
  { ...one, name: 'nothing fails', trials: { short: 0, long: 1 }, strike: async ({ stage, load }) => Promise.all((['acks', 'status', 'finalized'] as const).map((measure) => measureRecovery('nothing', measure, stage, load))) },
  {
    ...one,
    name: 'kill -9 of one of every service',
    trials: { short: 1, long: 1 },
    load: VARIED,
    strike: async (trial) => (await Promise.all(SERVICES.map((service) => killService(trial, service)))).flat(),
  },
  ...SERVICES.map((service): Scenario => ({ ...one, name: `kill -9 ${service}`, trials: { short: 0, long: 2 }, strike: (trial) => killService(trial, service) })),
  ...SERVICES.map((service): Scenario => ({ ...one, name: `kill -9 all of ${service}`, trials: { short: 0, long: 1 }, strike: (trial) => killAllOf(trial, service) })),
  {
    ...one,
    name: 'kill -9 gateway while recorders poll',
    trials: { short: 0, long: 2 },
    load: { ...VARIED, transport: 'polling' },
    strike: async (trial) => {
      // A gateway that is killed before cannot report the clients that have vanished.
      await delay(VANISHED_MS)
      return [...(await killService(trial, 'gateway')), ...(await killAllOf(trial, 'gateway'))]
    },
  },
  { ...one, name: 'kill -9 Kafka', trials: { short: 1, long: 2 }, strike: killKafka },
  { ...one, name: 'kill -9 Azurite', trials: { short: 1, long: 2 }, strike: killAzurite },
  { ...one, name: 'kill -9 everything', trials: { short: 0, long: 1 }, strike: killEverything },
]
