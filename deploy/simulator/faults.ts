import type { Fault } from './plan.ts'
import { harm } from './harm.ts'
import { EVENTS } from './world/trace.ts'
import type { World } from './world/world.ts'

/** Makes the plan's faults happen. */
export class Faults {
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  schedule(): void {
    const { time, plan } = this.#world
    for (const fault of plan.faults) time.at(fault.at, () => this.#happen(fault))
    time.at(plan.quietAt, () => this.#world.weather.clear())
  }

  #happen(fault: Fault): void {
    const { trace, services, kafka, weather, random, tcp, time } = this.#world
    trace.note(EVENTS.fault, fault.at)
    trace.line('fault', describeFault(fault))
    switch (fault.do) {
      case 'kill':
        return services.kill(fault.service, fault.index, fault.downMs)
      case 'restart':
        return services.restart(fault.service, fault.index, fault.downMs)
      case 'pause':
        return services.pause(fault.service, fault.index, fault.forMs)
      case 'stop-broker':
        kafka.stopBroker(fault.broker)
        return void time.after(fault.downMs, () => kafka.brokers[fault.broker]?.start())
      case 'hang-broker':
        return kafka.brokers[fault.broker]?.hang(fault.forMs)
      case 'move-leaders':
        return kafka.moveLeaders(() => random.chance(fault.share))
      case 'drain-broker': {
        weather.slowHost(`broker-${fault.broker}`, fault.extraMs, fault.forMs)
        const matches = ({ leader }: { leader: number }): boolean => leader === fault.broker || random.chance(0.3)
        return void time.after(fault.forMs / 2, () => kafka.moveLeaders(matches))
      }
      case 'move-groups':
        for (const group of kafka.groups.groups())
          kafka.groups.move(group, random.pick(kafka.brokers.filter(({ up }) => up)).id)
        return
      case 'reset-connections':
        return tcp.resetWhere(() => random.chance(fault.share))
      case 'slow-brokers':
        for (const broker of fault.brokers) weather.slowHost(`broker-${broker}`, fault.extraMs, fault.forMs)
        return
      case 'storage-trouble':
        return weather.storageTrouble(fault.share, fault.forMs)
      case 'slow-storage':
        return weather.slowStorage(fault.extraMs, fault.forMs)
      case 'lease-file':
      case 'archive-file':
      case 'remove-file':
      case 'damage-file':
      case 'damage-pending':
      case 'damage-checkpoint':
        return void harm(this.#world, fault)
      case 'cut-clients':
        return this.#world.cutClients(() => random.chance(fault.share))
      default:
        fault satisfies never
    }
  }
}

/** `kill block-writer-0, downMs 300` */
export function describeFault({ at: _at, do: what, ...details }: Fault): string {
  const rest = Object.entries(details).filter(([name]) => name !== 'service' && name !== 'index')
  const target = 'service' in details ? ` ${details.service}-${details.index}` : ''
  return [`${what}${target}`, ...rest.map(([name, value]) => `${name} ${String(value)}`)].join(', ')
}
