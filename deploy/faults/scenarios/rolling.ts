import { setTimeout as delay } from 'node:timers/promises'
import { SERVICES } from '../../local/services.ts'
import { LIGHT } from '../load.ts'
import { measureRecovery, watchStalls, type Recovery } from '../recovery.ts'
import type { Scenario, Trial } from '../scenario.ts'
import { instancesOf } from '../stage.ts'

const RESTARTING = 1012
/** What a client may notice of a gateway that is restarted, at most. */
const LONGEST_STALL_MS = 15_000

/** Each process is told to stop and started again, one after the other, as a deployment does it. */
async function restartAll({ stage, load }: Trial): Promise<Recovery[]> {
  const { system } = stage
  const stopWatching = watchStalls(load)
  for (const name of SERVICES.flatMap((service) => instancesOf(system, service))) await system.processes.restart(name)
  // What the last restart did to anybody shows by then.
  const settled = await measureRecovery('rolling restart', 'status', stage, load)
  const stall = stopWatching()
  if (stall.ms > LONGEST_STALL_MS) throw new Error(`a client got no ack for ${stall.ms} ms during the rolling restart`)
  const closes = load.recordings.filter(({ flows }) => flows).flatMap(({ clients }) => clients.flatMap((client) => client.closes.map(({ code }) => code)))
  const others = closes.filter((code) => code !== RESTARTING)
  if (others.length > 0) throw new Error(`clients were closed with ${others.join(', ')} during the rolling restart, not with ${RESTARTING} alone`)
  return [settled, stall]
}

/** The second instances leave and come back in the middle, one kind at a time in any order. */
async function scale({ stage, load, random }: Trial): Promise<Recovery[]> {
  const { processes } = stage.system
  const stopWatching = watchStalls(load)
  for (const name of random.shuffle(['block-writer-2', 'completeness-2', 'finalizer-2'])) {
    await processes.stop(name)
    await delay(random.between(0, 3000))
    await processes.start(name)
    await delay(random.between(0, 2000))
  }
  const settled = await measureRecovery('scaling', 'status', stage, load)
  return [settled, { ...stopWatching(), component: 'scaling' }]
}

export const rolling: readonly Scenario[] = [
  { brokers: 'one broker', name: 'rolling restart of every service', trials: { short: 1, long: 1 }, load: { ...LIGHT, sessions: 6, steady: 3 }, strike: restartAll },
  { brokers: 'one broker', name: 'second instances leave and come back', trials: { short: 0, long: 1 }, strike: scale },
]
