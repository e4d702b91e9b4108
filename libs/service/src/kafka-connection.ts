import type { KafkaSettings } from './common-settings.ts'
import type { Logger } from './logger.ts'

interface Sasl<M extends string> {
  mechanism: M
  username: string
  password: string
}

/** What libs/kafka is opened with. */
export interface KafkaConnection {
  brokers: string[]
  clientId: string
  ssl: boolean
  sasl?: Sasl<'plain'> | Sasl<'scram-sha-256'> | Sasl<'scram-sha-512'>
  log: Logger
}

/** The connection that the shared Kafka settings describe; `service` and instance name it to the brokers. */
export function kafkaConnection(config: KafkaSettings & { instance: string }, service: string, log: Logger): KafkaConnection {
  return { brokers: config.kafkaBrokers, clientId: config.instance === service ? service : `${service}-${config.instance}`, ssl: config.kafkaTls, ...login(config), log }
}

function login({ kafkaSaslMechanism: mechanism, kafkaUsername: username, kafkaPassword }: KafkaSettings): Pick<KafkaConnection, 'sasl'> {
  if (!mechanism || !username || !kafkaPassword) return {}
  const password = kafkaPassword.reveal()
  // One branch each, so that every mechanism keeps its own type, as kafkajs wants it.
  switch (mechanism) {
    case 'plain':
      return { sasl: { mechanism, username, password } }
    case 'scram-sha-256':
      return { sasl: { mechanism, username, password } }
    case 'scram-sha-512':
      return { sasl: { mechanism, username, password } }
  }
}
