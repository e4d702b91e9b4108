import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type DataState, decideDataState, formatSize, measureDataUse, rotateLogs } from './data-folder.ts'
import { azuriteProbe, kafkaProbe } from './probes.ts'
import { SetupError } from './setup-error.ts'
import { supervise } from './supervisor.ts'
import type { System } from './system.ts'

const MEASURE_INTERVAL_MS = 10_000

export interface CareOptions {
  dataDir: string
  /** What `dataDir` may hold. */
  limitBytes: number
  log: (line: string) => void
}

export interface Care {
  /** Rejects with one line for the user when the system cannot go on. */
  readonly failed: Promise<never>
  /** From then on nothing is restarted. */
  stop(): Promise<void>
}

/** Keeps a system running unattended: restarts its own Kafka and Azurite where they fail, and bounds its data folder. */
export function careFor(system: System, { dataDir, limitBytes, log }: CareOptions): Care {
  const stopping = new AbortController()
  const logFile = (name: string): string => join(dataDir, 'logs', `${name}.log`)
  const { kafka, azurite } = system
  const supervisors = [
    ...(kafka ? [supervise({ name: 'Kafka', server: kafka, probe: kafkaProbe(kafka.brokers), logFile: logFile('kafka'), log })] : []),
    ...(azurite ? [supervise({ name: 'Azurite', server: azurite, probe: azuriteProbe(azurite), logFile: logFile('azurite'), log })] : []),
  ]
  const data = boundData(system, { dataDir, limitBytes, log }, stopping.signal)
  const failed = new Promise<never>((_, reject) => {
    for (const part of [data, ...supervisors.map(({ ended }) => ended)]) part.catch(reject)
  })
  return {
    failed,
    stop: async () => {
      stopping.abort()
      await Promise.all([...supervisors.map((supervisor) => supervisor.stop()), Promise.allSettled([data])])
    },
  }
}

const waysOut = (dataDir: string): string =>
  `delete sessions (their space is free within about 15 minutes), raise LONGTAKE_DATA_LIMIT, or clear all with \`npm start -- --reset\` (it deletes every recording in ${dataDir})`

/** Throws where a start would be out of space at once. */
export async function refuseFullData(dataDir: string, limitBytes: number): Promise<void> {
  const use = await measureDataUse(dataDir)
  const state = decideDataState(use, limitBytes, 'ok')
  if (state === 'disk-full') throw diskFull(dataDir, use.freeBytes)
  if (state === 'full') {
    throw new SetupError(
      `${dataDir} holds ${formatSize(use.bytes)}, its limit is ${formatSize(limitBytes)}: raise it (LONGTAKE_DATA_LIMIT=… npm start), or clear all with ` +
        '`npm start -- --reset` (it deletes every recording there).',
    )
  }
}

const diskFull = (dataDir: string, freeBytes: number): SetupError =>
  new SetupError(`the disk of ${dataDir} is full (${formatSize(freeBytes)} free): free at least 1 GiB and run npm start again. What was acknowledged is kept there.`)

async function boundData({ processes }: Pick<System, 'processes'>, { dataDir, limitBytes, log }: CareOptions, signal: AbortSignal): Promise<void> {
  let state: DataState = 'ok'
  while (!signal.aborted) {
    rotateLogs(join(dataDir, 'logs'))
    const use = await measureDataUse(dataDir)
    const next = decideDataState(use, limitBytes, state)
    if (signal.aborted) return
    if (next !== state) await change(state, next, use.bytes, use.freeBytes)
    state = next
    await delay(MEASURE_INTERVAL_MS, undefined, { signal }).catch(() => undefined)
  }

  async function change(before: DataState, next: DataState, bytes: number, freeBytes: number): Promise<void> {
    const holds = `${dataDir} holds ${formatSize(bytes)} of ${formatSize(limitBytes)}`
    if (next === 'disk-full') throw diskFull(dataDir, freeBytes)
    if (next === 'full') {
      log(`${holds}: recording is paused, the gateway is stopped. Recorders keep their data and continue once there is space: ${waysOut(dataDir)}.`)
      await processes.stop('gateway')
      return
    }
    if (before === 'full') {
      log(`${holds}: recording continues, the gateway is started again.`)
      await processes.start('gateway')
    } else if (next === 'warn') {
      log(`${holds}; at the limit recording is paused. To free space, ${waysOut(dataDir)}.`)
    }
  }
}
