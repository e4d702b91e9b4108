import { SERVICES } from '../../local/services.ts'
import type { Recovery } from '../recovery.ts'
import type { Scenario, Trial } from '../scenario.ts'
import { killAzurite, killKafka, killService } from './kills.ts'
import { failStorage, STORAGE_FAULTS } from './storage.ts'

const KILLS: readonly ((trial: Trial) => Promise<Recovery[]>)[] = [...SERVICES.map((service) => (trial: Trial) => killService(trial, service)), killKafka, killAzurite]

/** Both within the same seconds. What each recovery took is not told apart, so it is not told. */
async function both(trial: Trial, ...strikes: ((trial: Trial) => Promise<Recovery[]>)[]): Promise<Recovery[]> {
  const recoveries = (await Promise.all(strikes.map((strike) => strike(trial)))).flat()
  return [{ component: 'two at once', measure: 'status', ms: Math.max(...recoveries.map(({ ms }) => ms)) }]
}

const one = { brokers: 'one broker' } as const

export const pairs: readonly Scenario[] = [
  {
    ...one, name: 'kill -9 gateway while Azurite answers nothing', trials: { short: 0, long: 1 },
    strike: (trial) => both(trial, (same) => killService(same, 'gateway'), (same) => failStorage(same, STORAGE_FAULTS['Azurite answers nothing']!)),
  },
  {
    ...one, name: 'kill -9 of any two', trials: { short: 0, long: 3 },
    strike: (trial) => both(trial, ...trial.random.shuffle(KILLS).slice(0, 2)),
  },
]
