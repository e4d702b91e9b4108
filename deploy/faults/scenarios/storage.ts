import { setTimeout as delay } from 'node:timers/promises'
import type { HttpFault, SeenRequest } from '@longtake/testkit'
import { measureRecovery, type Recovery } from '../recovery.ts'
import type { Scenario, Trial } from '../scenario.ts'

const isCommit = ({ method, path }: SeenRequest): boolean => method === 'PUT' && path.includes('comp=blocklist')
const answer = (status: number, code: string, forwarded: boolean): HttpFault => ({
  kind: 'answer', status, forwarded, headers: { 'x-ms-error-code': code, 'content-type': 'application/xml' }, body: `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`,
})

/** What storage does wrong meanwhile: to which requests, how many of them, and what. */
export interface StorageFault {
  matches: (request: SeenRequest) => boolean
  share: number
  faults: readonly HttpFault[]
  forMs: number
}

const ERRORS: readonly HttpFault[] = [
  answer(500, 'InternalError', false), answer(500, 'InternalError', true), answer(503, 'ServerBusy', false), answer(503, 'ServerBusy', true),
  { kind: 'cut before' }, { kind: 'cut answer' },
]

export const STORAGE_FAULTS: Readonly<Record<string, StorageFault>> = {
  'Azurite answers 500 and 503 and breaks connections, most of the time': { matches: () => true, share: 0.5, faults: ERRORS, forMs: 6000 },
  'Azurite answers 503 to everything': { matches: () => true, share: 1, faults: [answer(503, 'ServerBusy', false)], forMs: 8000 },
  'Azurite commits and does not say so': { matches: isCommit, share: 1, faults: [answer(500, 'InternalError', true), { kind: 'cut answer' }], forMs: 6000 },
  'Azurite commits and answers nothing': { matches: isCommit, share: 1, faults: [{ kind: 'hold answer' }], forMs: 4000 },
  'Azurite answers nothing': { matches: () => true, share: 1, faults: [{ kind: 'hold answer' }], forMs: 4000 },
}

export async function failStorage({ stage, load, random }: Trial, { matches, share, faults, forMs }: StorageFault): Promise<Recovery[]> {
  let isOver = false
  await delay(random.between(0, 1000))
  const lot = (): boolean => !isOver && random.chance(share)
  // The first of them that the lot falls on takes the request, the last whatever the share leaves.
  for (const [index, fault] of faults.entries()) {
    stage.storage.inject((request) => !isOver && matches(request) && (index === faults.length - 1 ? lot() : lot() && random.chance(1 / faults.length)), fault, Number.POSITIVE_INFINITY)
  }
  await delay(forMs)
  isOver = true
  return [await measureRecovery('azurite failing', 'status', stage, load)]
}

const one = { brokers: 'one broker' } as const

export const storage: readonly Scenario[] = Object.entries(STORAGE_FAULTS).map(([name, fault], index) => ({
  ...one, name, trials: { short: index === 0 ? 1 : 0, long: 1 }, strike: (trial) => failStorage(trial, fault),
}))
