import type { Random } from '@longtake/testkit'
import type { Load, LoadPlan } from './load.ts'
import type { Recovery } from './recovery.ts'
import type { Brokers, Stage } from './stage.ts'

export const PROFILES = ['short', 'long'] as const
export type Profile = (typeof PROFILES)[number]

export interface Trial {
  readonly stage: Stage
  /** Sessions that are being recorded meanwhile. */
  readonly load: Load
  /** Decides everything that differs between two trials of a scenario. */
  readonly random: Random
  /** Which trial of the scenario it is, from 0 on. */
  readonly index: number
}

/** What can go wrong, as data and one function; what must hold in spite of it is the same for all. */
export interface Scenario {
  readonly name: string
  readonly brokers: Brokers
  readonly trials: Readonly<Record<Profile, number>>
  readonly load?: LoadPlan
  /** Lets the fault happen while sessions are recorded; resolves when it is over, with how long recovery took. */
  strike(trial: Trial): Promise<Recovery[]>
}
