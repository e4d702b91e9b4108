import { X509Certificate } from 'node:crypto'
import { isLoopback, type KafkaSettings } from './kafka-settings.ts'
import { certificatesIn } from './pem-settings.ts'

const DAY_MS = 86_400_000
const EXPIRES_SOON_MS = 30 * DAY_MS

export interface SecurityWarning {
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** What works today and should not stay: credentials without TLS to another machine, certificates about to expire. */
export function securityWarnings(config: KafkaSettings, now: number): SecurityWarning[] {
  const { kafkaBrokers: brokers, kafkaSaslMechanism: mechanism } = config
  const warnings: SecurityWarning[] = []
  const remote = brokers.some((broker) => !isLoopback(broker.replace(/:\d+$/, '')))
  if (mechanism !== undefined && !config.kafkaTls && remote) {
    warnings.push({ message: 'Kafka credentials are sent without TLS, set KAFKA_TLS=true', fields: { mechanism, brokers } })
  }
  const used = { KAFKA_TLS_CA: config.kafkaTlsCa, KAFKA_TLS_CERT: config.kafkaTlsCert }
  for (const [setting, pem] of Object.entries(used)) {
    for (const certificate of certificatesIn(pem?.initial ?? '')) {
      const { subject, validToDate } = new X509Certificate(certificate)
      const leftMs = validToDate.getTime() - now
      if (leftMs > EXPIRES_SOON_MS) continue
      const message = `Kafka certificate ${leftMs <= 0 ? 'has expired' : 'expires soon'}, replace it`
      const daysLeft = Math.floor(leftMs / DAY_MS)
      warnings.push({ message, fields: { setting, subject, expires: validToDate.toISOString(), daysLeft } })
    }
  }
  return warnings
}
