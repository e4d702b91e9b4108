import type { World } from './harness.ts'

/** A death of block-writer: before or after the change in storage of this number, counted from 1. */
export interface Death {
  readonly moment: 'before' | 'after'
  readonly change: number
}

/** Counts changes in storage while it is armed, and kills the world's owner at the given one, once. */
export class Killer {
  isArmed = false
  changes = 0
  readonly #death: Death | null

  constructor(death: Death | null) {
    this.#death = death
  }

  /** Call it with each change. Throws when the owner dies. */
  at(moment: Death['moment'], world: World): void {
    if (!this.isArmed) return
    if (moment === 'before') this.changes++
    if (moment !== this.#death?.moment || this.changes !== this.#death.change) return
    this.isArmed = false
    world.crash()
    throw new Error('killed')
  }
}

/** Passes time. If the owner died meanwhile, the next one takes over. */
export async function passAndTakeOver(world: World, ms: number): Promise<void> {
  await world.pass(ms)
  if (world.owned) return
  world.own()
  await world.settle()
}
