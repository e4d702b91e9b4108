import { DEFAULT_WINDOW_BYTES } from '@longtake/contracts'
import { bytes, type ConfigOf, duration, type Env, integer, kafkaSettings, port, readEnv, serviceSettings, tokenSettings } from '@longtake/service'

const settings = {
  ...serviceSettings('gateway', { healthPort: 9101 }),
  ...kafkaSettings,
  ...tokenSettings,
  port: port('LONGTAKE_GATEWAY_PORT', { help: 'where recorders connect', default: 8081 }),
  maxConnections: integer('LONGTAKE_GATEWAY_MAX_CONNECTIONS', { help: 'recorders connected at once; above it they are refused and retry later', default: 10_000, min: 1 }),
  inFlightBytes: bytes('LONGTAKE_GATEWAY_IN_FLIGHT', { help: 'memory for what Kafka has not yet taken, of all clients together', default: 256 * 1024 ** 2, min: 8 * 1024 ** 2 }),
  windowBytes: bytes('LONGTAKE_GATEWAY_WINDOW', { help: 'what one client may have unacknowledged', default: DEFAULT_WINDOW_BYTES, min: 64 * 1024 }),
  backlogBytes: bytes('LONGTAKE_GATEWAY_BACKLOG', {
    help: 'what recordings.chunks may hold that block-writer has not committed, of all gateways together and without replicas',
    default: 256 * 1024 ** 3,
    min: 64 * 1024 ** 2,
  }),
  kafkaTimeoutMs: duration('LONGTAKE_GATEWAY_KAFKA_TIMEOUT', { help: 'how long a record is tried before its client is sent away', default: 60_000, min: 1000 }),
}
export type Config = ConfigOf<typeof settings>
export const readConfig = (env: Env): Config => readEnv(env, settings)
