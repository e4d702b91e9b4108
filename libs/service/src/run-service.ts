import { isMainThread } from 'node:worker_threads'
import { messageOf } from '@longtake/contracts'
import type { ServiceConfig } from './common-settings.ts'
import { Health } from './health.ts'
import { startHealthServer } from './health-server.ts'
import { createLogger, type Logger } from './logger.ts'
import type { Env } from './read-env.ts'

/** What a service is given beside its config. */
export interface ServiceDeps {
  readonly logger: Logger
  readonly health: Health
  /** All metrics of the process as Prometheus text. */
  readonly metrics: () => Promise<string>
  /** Aborts when the process shall stop, so that a start still waiting for Kafka or Azure can give up. */
  readonly stopping: AbortSignal
  /** For what cannot be survived but allows an orderly stop: logs `fatal`, stops, exits with 1. */
  readonly fail: (error: unknown) => void
}

export interface ServiceModule<C> {
  /** Resolves once the service works; disposal settles what is in flight. */
  start(this: void, config: C, deps: ServiceDeps): Promise<AsyncDisposable>
}

/** One Ctrl-C reaches a process twice when its launcher passes it on: so soon it is the same wish. */
const SAME_SIGNAL_MS = 500
const TELEMETRY_FLUSH_MS = 3_000

/**
 * Runs a service as this process until SIGTERM or SIGINT; never returns.
 * Stops in order: not ready, service disposed, telemetry flushed; exits 0. Exits 1 on wrong settings, a failed start,
 * `fail`, an uncaught error, a stop that outlasts `shutdownTimeoutMs`, or a second signal (then at once).
 * @param load imports the service's module; done here so that telemetry is registered before any of its imports run
 */
export async function runService<C extends ServiceConfig>(
  name: string,
  readConfig: (env: Env) => C,
  load: () => Promise<ServiceModule<C>>,
): Promise<never> {
  if (!isMainThread) throw new Error('runService owns its process: call it from the main thread')
  const config = readConfigOrExit(name, readConfig)
  const logger = createLogger({ service: name, instance: config.instance, level: config.logLevel })
  process.on('uncaughtException', (error) => {
    logger.fatal({ error }, 'uncaught error: the process ends')
    process.exit(1)
  })

  let exitCode = 0
  let started = false
  const stopping = new AbortController()
  const stopped = new Promise<void>((resolve) => stopping.signal.addEventListener('abort', () => resolve()))
  const stop = (): void => {
    if (stopping.signal.aborted) return
    setTimeout(() => {
      logger.error({ shutdownTimeoutMs: config.shutdownTimeoutMs }, 'the stop takes too long: the process ends')
      process.exit(1)
    }, config.shutdownTimeoutMs)
    stopping.abort()
  }
  const fail = (error: unknown): void => {
    logger.fatal({ error }, 'the service cannot go on')
    exitCode = 1
    stop()
  }
  onSignals(logger, stop)

  try {
    const { startTelemetry } = await import('./telemetry.ts')
    const telemetry = startTelemetry({ ...config, service: name, logger })
    const health = new Health()
    health.add('service', () => {
      if (stopping.signal.aborted) return { ready: false, reason: 'stopping' }
      return started ? { ready: true } : { ready: false, reason: 'starting: what it waits for (Kafka, its topics, storage) is in the log' }
    })
    const metrics = (): Promise<string> => telemetry.metrics()
    const healthServer = await startHealthServer({ host: config.host, port: config.healthPort, health, metrics })
    const { start } = await load()
    const service = await start(config, { logger, health, metrics, stopping: stopping.signal, fail })
    started = true
    logger.info({ healthPort: healthServer.port }, 'started')
    await stopped
    await service[Symbol.asyncDispose]()
    await healthServer[Symbol.asyncDispose]()
    await flush(telemetry, logger)
  } catch (error) {
    if (stopping.signal.aborted && !started) {
      // A start that gave up because it was asked to stop has done nothing wrong.
      logger.info({ error }, 'stopped before it had started')
    } else {
      logger.fatal({ error }, started ? 'the stop failed' : 'the start failed')
      exitCode = 1
    }
  }
  logger.info({ exitCode }, 'stopped')
  process.exit(exitCode)
}

function readConfigOrExit<C>(name: string, readConfig: (env: Env) => C): C {
  try {
    return readConfig(process.env)
  } catch (error) {
    // For a human's eyes, and only so: as JSON the list of faults is one unreadable line.
    process.stderr.write(`${name} cannot start. ${messageOf(error)}\n`)
    return process.exit(1)
  }
}

/** Telemetry that cannot be sent delays a stop a little and never fails it. */
async function flush(telemetry: AsyncDisposable, logger: Logger): Promise<void> {
  const timeout = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`not sent within ${TELEMETRY_FLUSH_MS} ms`)), TELEMETRY_FLUSH_MS)
  })
  try {
    await Promise.race([telemetry[Symbol.asyncDispose](), timeout])
  } catch (error) {
    logger.warn({ error }, 'the last telemetry could not be sent')
  }
}

function onSignals(logger: Logger, stop: () => void): void {
  let firstAt: number | undefined
  const onSignal = (signal: NodeJS.Signals): void => {
    const now = performance.now()
    if (firstAt === undefined) {
      firstAt = now
      logger.info({ signal }, 'stopping')
      stop()
    } else if (now - firstAt > SAME_SIGNAL_MS) {
      logger.warn({ signal }, 'signalled again: the process ends at once')
      process.exit(1)
    }
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}
