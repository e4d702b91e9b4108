import { setTimeout as delay } from 'node:timers/promises'
import { untilInSync } from '../in-sync.ts'
import { electPreferredLeaders, placements, reassign, type Placement } from '../leaders.ts'
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

/** The replicas in another order: with `turns` of 1 the second one is preferred. */
const turned = ({ replicas, ...of }: Placement, turns: number): Placement => ({ ...of, replicas: replicas.map((_, index) => replicas[(index + turns) % replicas.length]!) })

/** How many partitions another broker leads than before; a scenario that moved none would prove nothing. */
async function movedSince(before: readonly Placement[], addresses: readonly string[]): Promise<number> {
  const leaders = new Map(before.map(({ topic, partition, leader }) => [`${topic}/${partition}`, leader]))
  return (await placements(addresses)).filter(({ topic, partition, leader }) => leaders.get(`${topic}/${partition}`) !== leader).length
}

/** Every partition's leader moves at once, there and back, while every broker stays up: answers of the old leader are on the wire. */
async function electBackAndForth({ stage, load, random }: Trial): Promise<Recovery[]> {
  const addresses = stage.brokers.map(({ brokers }) => brokers)
  const component = 'preferred-leader elections'
  const stopWatching = watchStalls(load)
  const home = await placements(addresses)
  for (const turns of [1, 0, 2, 0]) {
    const before = await placements(addresses)
    await reassign(addresses, home.map((placement) => turned(placement, turns)))
    await electPreferredLeaders(addresses)
    const moved = await movedSince(before, addresses)
    if (moved < home.length / 2) throw new Error(`only ${moved} of ${home.length} leaders have moved`)
    await delay(random.between(0, 1500))
  }
  const recovery = await measureRecovery(component, 'status', stage, load)
  return [recovery, { ...stopWatching(), component }]
}

/** Each broker in turn loses its replicas of all partitions that it leads, and gets them back: leaders move and logs are copied. */
async function reassignEach({ stage, load, random }: Trial): Promise<Recovery[]> {
  const addresses = stage.brokers.map(({ brokers }) => brokers)
  const component = 'partition reassignments'
  const stopWatching = watchStalls(load)
  for (const _ of stage.brokers) {
    const before = await placements(addresses)
    const leader = random.pick([...new Set(before.map((placement) => placement.leader))])
    const led = before.filter((placement) => placement.leader === leader)
    await reassign(addresses, led.map(({ replicas, ...of }) => ({ ...of, replicas: replicas.filter((id) => id !== leader) })))
    const moved = await movedSince(before, addresses)
    if (moved < led.length) throw new Error(`only ${moved} of ${led.length} leaders have moved`)
    await reassign(addresses, led)
    await inSync(stage)
    await delay(random.between(0, 1500))
  }
  const recovery = await measureRecovery(component, 'status', stage, load)
  return [recovery, { ...stopWatching(), component }]
}

const three = { brokers: 'three brokers' } as const

export const brokers: readonly Scenario[] = [
  { ...three, name: 'kill -9 each of three brokers in turn', trials: { short: 0, long: 1 }, strike: killEach },
  { ...three, name: 'kill -9 two of three brokers at once', trials: { short: 0, long: 1 }, strike: killTwo },
  { ...three, name: 'SIGSTOP one of three brokers', trials: { short: 0, long: 1 }, strike: pauseOne },
  { ...three, name: 'rolling restart of three brokers', trials: { short: 0, long: 1 }, strike: restartEach },
  { ...three, name: 'preferred leaders elected back and forth', trials: { short: 0, long: 1 }, strike: electBackAndForth },
  { ...three, name: 'partitions reassigned while recording', trials: { short: 0, long: 1 }, strike: reassignEach },
]
