import { certificates, isKeyOf, Pem, privateKey, readableFile } from './pem-settings.ts'
import type { ConfigOf } from './read-env.ts'
import { flag, list, oneOf, secret, type SettingValues, text, url } from './settings.ts'

const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'] as const
const LOGIN = ['KAFKA_USERNAME', 'KAFKA_PASSWORD']
const OAUTH_CLIENT = ['KAFKA_OAUTH_TOKEN_URL', 'KAFKA_OAUTH_CLIENT_ID', 'KAFKA_OAUTH_CLIENT_SECRET']
const OAUTH = [...OAUTH_CLIENT, 'KAFKA_OAUTH_SCOPE', 'KAFKA_OAUTH_TOKEN_FILE']
const TLS_MATERIAL = ['KAFKA_TLS_CA', 'KAFKA_TLS_CERT', 'KAFKA_TLS_KEY']

const optional = { default: undefined }

/** For every service that speaks to Kafka. */
export const kafkaSettings = {
  kafkaBrokers: list('KAFKA_BROKERS', { help: 'host:port of one or more brokers, with commas between' }),
  kafkaTls: flag('KAFKA_TLS', { help: 'whether brokers are reached by TLS', default: false }),
  kafkaTlsCa: certificates('KAFKA_TLS_CA', { help: 'PEM or file: the only authorities to trust; unset: the public ones' }),
  kafkaTlsCert: certificates('KAFKA_TLS_CERT', { help: 'PEM or file: certificate of this client, with its chain' }),
  kafkaTlsKey: privateKey('KAFKA_TLS_KEY', { help: 'PEM or file: private key of that certificate' }),
  kafkaSaslMechanism: {
    ...oneOf('KAFKA_SASL_MECHANISM', MECHANISMS, { help: 'how to log in; unset: not at all', ...optional }),
    rule: (settings: SettingValues) => [...saslFaults(settings), ...tlsFaults(settings)],
  },
  kafkaUsername: text('KAFKA_USERNAME', { help: 'SASL user', ...optional }),
  kafkaPassword: secret('KAFKA_PASSWORD', { help: 'SASL password', ...optional }),
  kafkaOauthTokenUrl: url('KAFKA_OAUTH_TOKEN_URL', { help: 'token endpoint for oauthbearer', ...optional }),
  kafkaOauthClientId: text('KAFKA_OAUTH_CLIENT_ID', { help: 'client that asks there for tokens', ...optional }),
  kafkaOauthClientSecret: secret('KAFKA_OAUTH_CLIENT_SECRET', { help: 'its secret', ...optional }),
  kafkaOauthScope: text('KAFKA_OAUTH_SCOPE', { help: 'scope to ask for', ...optional }),
  kafkaOauthTokenFile: readableFile('KAFKA_OAUTH_TOKEN_FILE', { help: 'file with a token, as Kubernetes projects it' }),
}
export type KafkaSettings = ConfigOf<typeof kafkaSettings>

function saslFaults({ isSet, value }: SettingValues): string[] {
  const mechanism = value('KAFKA_SASL_MECHANISM') as (typeof MECHANISMS)[number] | undefined
  const without = (names: string[], why: string) =>
    names.filter(isSet).map((name) => `${name} is set, but has no effect ${why}`)
  const needed = (names: string[], by: string) =>
    names.filter((name) => !isSet(name)).map((name) => `${name} is not set, which ${by} needs`)
  if (mechanism === undefined) {
    if (isSet('KAFKA_SASL_MECHANISM')) return []
    return without([...LOGIN, ...OAUTH], `without KAFKA_SASL_MECHANISM (${MECHANISMS.join(', ')})`)
  }
  const by = `KAFKA_SASL_MECHANISM=${mechanism}`
  if (mechanism !== 'oauthbearer') return [...needed(LOGIN, by), ...without(OAUTH, `with ${by}`)]
  const faults = without(LOGIN, `with ${by}`)
  if (isSet('KAFKA_OAUTH_TOKEN_FILE')) {
    return [...faults, ...without([...OAUTH_CLIENT, 'KAFKA_OAUTH_SCOPE'], 'beside KAFKA_OAUTH_TOKEN_FILE')]
  }
  if (!OAUTH_CLIENT.some(isSet)) {
    return [...faults, `${by} needs ${OAUTH_CLIENT.join(', ')}, or KAFKA_OAUTH_TOKEN_FILE`]
  }
  const tokenUrl = value('KAFKA_OAUTH_TOKEN_URL')
  if (typeof tokenUrl === 'string' && tokenUrl.startsWith('http://') && !isLoopback(new URL(tokenUrl).hostname)) {
    faults.push('KAFKA_OAUTH_TOKEN_URL must begin with https://: the client secret is sent there')
  }
  return [...faults, ...needed(OAUTH_CLIENT, by)]
}

function tlsFaults({ isSet, value }: SettingValues): string[] {
  const faults: string[] = []
  // A malformed KAFKA_TLS is a fault of its own.
  if (value('KAFKA_TLS') === false || !isSet('KAFKA_TLS')) {
    faults.push(...TLS_MATERIAL.filter(isSet).map((name) => `${name} is set, but has no effect without KAFKA_TLS=true`))
  }
  const [, certName = '', keyName = ''] = TLS_MATERIAL
  if (isSet(certName) !== isSet(keyName)) {
    const [there, missing] = isSet(certName) ? [certName, keyName] : [keyName, certName]
    faults.push(`${missing} is not set, which ${there} needs`)
  }
  const [cert, key] = [value(certName), value(keyName)]
  if (cert instanceof Pem && key instanceof Pem && !isKeyOf(cert.initial, key.initial)) {
    faults.push(`${keyName} is not the key of the first certificate in ${certName}`)
  }
  return faults
}

/** True for this machine, by a host name or an address as in a URL. */
export const isLoopback = (host: string): boolean => /^(localhost|\[::1\]|127(\.\d+){3})$/.test(host)
