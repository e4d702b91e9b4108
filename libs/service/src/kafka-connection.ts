import { cachedToken, readToken, requestToken } from './kafka-oauth.ts'
import { securityWarnings } from './kafka-security.ts'
import type { KafkaSettings } from './kafka-settings.ts'
import { tlsMaterial, type TlsMaterial } from './kafka-tls.ts'
import type { Logger } from './logger.ts'

interface Login<M extends string> {
  mechanism: M
  username: string
  password: string
}
interface TokenLogin {
  mechanism: 'oauthbearer'
  oauthBearerProvider: () => Promise<{ value: string }>
}

/** What libs/kafka is opened with. It holds credentials as they are: not to be logged. */
export interface KafkaConnection {
  brokers: string[]
  clientId: string
  /** True trusts public authorities; server names are checked in either case. Its properties are read for each connection. */
  ssl: boolean | TlsMaterial
  sasl?: Login<'plain'> | Login<'scram-sha-256'> | Login<'scram-sha-512'> | TokenLogin
  log: Logger
}

/** The connection that the shared Kafka settings describe; `service` and instance name it to the brokers. */
export function kafkaConnection(
  config: KafkaSettings & { instance: string },
  service: string,
  log: Logger,
): KafkaConnection {
  for (const { message, fields } of securityWarnings(config, Date.now())) log.warn(fields, message)
  const clientId = config.instance === service ? service : `${service}-${config.instance}`
  return { brokers: config.kafkaBrokers, clientId, ssl: tls(config, log), ...login(config), log }
}

function tls(config: KafkaSettings, log: Logger): KafkaConnection['ssl'] {
  const { kafkaTls, kafkaTlsCa: ca, kafkaTlsCert: cert } = config
  return !kafkaTls || (ca === undefined && cert === undefined) ? kafkaTls : tlsMaterial(config, log)
}

function login(config: KafkaSettings): Pick<KafkaConnection, 'sasl'> {
  const { kafkaSaslMechanism: mechanism } = config
  // One branch each, so that every mechanism keeps its own type, as kafkajs wants it.
  switch (mechanism) {
    case undefined:
      return {}
    case 'plain':
      return { sasl: { mechanism, ...credentials(config) } }
    case 'scram-sha-256':
      return { sasl: { mechanism, ...credentials(config) } }
    case 'scram-sha-512':
      return { sasl: { mechanism, ...credentials(config) } }
    case 'oauthbearer': {
      const token = tokenProvider(config)
      return { sasl: { mechanism, oauthBearerProvider: async () => ({ value: await token() }) } }
    }
  }
}

// The settings' rule has seen to it that all of them are there; an incomplete login must not become none.
function credentials(config: KafkaSettings): { username: string; password: string } {
  const { kafkaUsername: username, kafkaPassword: password } = config
  if (username === undefined || password === undefined) throw new Error('KAFKA_USERNAME and KAFKA_PASSWORD are needed')
  return { username, password: password.reveal() }
}

function tokenProvider(config: KafkaSettings): () => Promise<string> {
  const { kafkaOauthTokenFile: file, kafkaOauthTokenUrl: tokenUrl, kafkaOauthClientId: clientId } = config
  const { kafkaOauthClientSecret: clientSecret } = config
  if (file !== undefined) return () => readToken(file)
  if (tokenUrl === undefined || clientId === undefined || clientSecret === undefined) {
    throw new Error('KAFKA_OAUTH_TOKEN_URL, KAFKA_OAUTH_CLIENT_ID and KAFKA_OAUTH_CLIENT_SECRET are needed')
  }
  return cachedToken(() => requestToken({ tokenUrl, clientId, clientSecret, scope: config.kafkaOauthScope }))
}
