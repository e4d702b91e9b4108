import { setTimeout as delay } from 'node:timers/promises'
import { HABITS } from '../recorders.ts'
import type { Scenario } from '../scenario.ts'

/** The recorders alone make the trouble: crashes, lost spools, repetitions, two of one track. */
export const clients: readonly Scenario[] = [
  {
    brokers: 'one broker',
    name: 'clients crash, forget, repeat, vanish',
    trials: { short: 0, long: 2 },
    load: { sessions: 2 * Object.keys(HABITS).length, steady: 1, pace: { chunkEveryMs: 80 } },
    strike: async ({ random }) => {
      await delay(random.between(3000, 8000))
      return []
    },
  },
]
