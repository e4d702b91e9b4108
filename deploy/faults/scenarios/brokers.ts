import { setTimeout as delay } from 'node:timers/promises'
import { untilInSync } from '../in-sync.ts'
import { measureRecovery, watchStalls, type Recovery } from '../recovery.ts'
import type { Scenario, Trial } from '../scenario.ts'
import type { Stage } from '../stage.ts'

const inSync = ({ brokers }: Stage): Promise<void> => untilInSync(brokers.map((broker) => broker.brokers))

/** One after the other, so that each partition's leader and the controller are among them. Acks go on while one is missing. */
async function killEach({ stage, load, random }: Trial): Promise<Recovery[]> {
  const recoveries: Recovery[] = []
  for (const broker of random.shuffle(stage.brokers)) {
    await delay(random.between(0, 2000))
    const recovered = (['acks', 'status'] as const).map((measure) => measureRecovery('one of three brokers', measure, stage, load))
    broker.kill()
    recoveries.push(...(await Promise.all(recovered)))
    await delay(random.between(0, 2000))
    await broker.restart()
    await inSync(stage)
  }
  return recoveries
}

/** Fewer replicas than `min.insync.replicas`: no ack may come, and nothing may be lost when they are back. */
async function killTwo({ stage, load, random }: Trial): Promise<Recovery[]> {
  await delay(random.between(0, 2000))
  const two = random.shuffle(stage.brokers).slice(0, 2)
  const recovered = measureRecovery('two of three brokers', 'acks', stage, load)
  for (const broker of two) broker.kill()
  const back = delay(random.between(1000, 4000)).then(() => Promise.all(two.map((broker) => broker.restart())))
  const [recovery] = await Promise.all([recovered, back])
  await inSync(stage)
  return [recovery]
}

/** Told to stop and started again, as a cluster is upgraded. */
async function restartEach({ stage, load }: Trial): Promise<Recovery[]> {
  const stopWatching = watchStalls(load)
  for (const broker of stage.brokers) {
    await broker.restart()
    await inSync(stage)
  }
  const settled = await measureRecovery('rolling restart of brokers', 'status', stage, load)
  return [settled, { ...stopWatching(), component: 'rolling restart of brokers' }]
}

/** It stands still with its connections open, until another leads its partitions. */
async function pauseOne({ stage, load, random }: Trial): Promise<Recovery[]> {
  const broker = random.pick(stage.brokers)
  await delay(random.between(0, 2000))
  const recovered = measureRecovery('one of three brokers paused', 'acks', stage, load)
  broker.child.signal('SIGSTOP')
  const gone = delay(random.between(6000, 15_000)).then(() => broker.child.signal('SIGCONT'))
  const [recovery] = await Promise.all([recovered, gone])
  await inSync(stage)
  return [recovery]
}

const three = { brokers: 'three brokers' } as const

export const brokers: readonly Scenario[] = [
  { ...three, name: 'kill -9 each of three brokers in turn', trials: { short: 0, long: 1 }, strike: killEach },
  { ...three, name: 'kill -9 two of three brokers at once', trials: { short: 0, long: 1 }, strike: killTwo },
  { ...three, name: 'SIGSTOP one of three brokers', trials: { short: 0, long: 1 }, strike: pauseOne },
  { ...three, name: 'rolling restart of three brokers', trials: { short: 0, long: 1 }, strike: restartEach },
]
