import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Readiness } from '@longtake/service'
import { SERVICES, type ServiceName } from '../local/services.ts'
import { disposableSystem } from './sessions.ts'

type Told = Record<ServiceName, Readiness & { status: number }>

test('Kafka is killed, then the storage: each service says so by itself, lives on, and is ready again when they are back', async (t) => {
  await using system = await disposableSystem()
  const { kafka, azurite } = system
  assert.ok(kafka !== undefined && azurite !== undefined)
  const ask = async (): Promise<Told> => {
    const answers = SERVICES.map(async (service) => {
      const origin = system.processes.healthUrl(service)
      assert.equal((await fetch(`${origin}/healthz`)).status, 200, `${service} is alive`)
      const answer = await fetch(`${origin}/readyz`)
      return [service, { ...((await answer.json()) as Readiness), status: answer.status }]
    })
    return Object.fromEntries(await Promise.all(answers)) as Told
  }
  /** Asks until it is so, and tells after how many seconds each service was. */
  const until = async (what: string, holds: (service: ServiceName, told: Told[ServiceName]) => boolean): Promise<void> => {
    const from = performance.now()
    const first = new Map<ServiceName, string>()
    for (;;) {
      const told = await ask()
      for (const service of SERVICES) if (holds(service, told[service]) && !first.has(service)) first.set(service, `${service} ${((performance.now() - from) / 1000).toFixed(1)} s`)
      if (SERVICES.every((service) => holds(service, told[service]))) break
      if (performance.now() - from > 60_000) throw new Error(`not ${what}: ${JSON.stringify(told)}`)
      await delay(200)
    }
    t.diagnostic(`${what}: ${[...first.values()].join(', ')}`)
  }
  const reasons = ({ checks }: Readiness): string => Object.values(checks).map(({ reason }) => reason ?? '').join('; ')
  /** Unready for that reason; query serves what it can, and tells. */
  const misses = (whom: readonly ServiceName[], words: RegExp) => (service: ServiceName, told: Told[ServiceName]) =>
    whom.includes(service) ? words.test(reasons(told)) && told.ready === (service === 'query') && told.status === (service === 'query' ? 200 : 503) : told.ready
  const isWell = (_: ServiceName, told: Told[ServiceName]): boolean => told.ready && reasons(told).replaceAll('; ', '') === ''

  await until('all ready', isWell)
  kafka.kill()
  await until('Kafka missed', misses(SERVICES, /Kafka has not answered/))
  await kafka.restart()
  await until('ready after Kafka', isWell)
  azurite.kill()
  await until('storage missed', misses(['block-writer', 'finalizer', 'remuxer', 'query'], /the storage has not answered/))
  await azurite.restart()
  await until('ready after the storage', isWell)
})
