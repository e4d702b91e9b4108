import type { KafkaSettings } from './kafka-settings.ts'
import type { Logger } from './logger.ts'
import { isKeyOf, type Pem } from './pem-settings.ts'

/** What a TLS connection is opened with, as PEM. */
export interface TlsMaterial {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/**
 * The certificates and the key for connections to Kafka, read anew for each of them: files that are replaced, as cert-manager
 * does, take effect with the next connection. While they do not fit together, in the middle of a replacement, the last ones that did
 * are used.
 */
export function tlsMaterial(
  { kafkaTlsCa, kafkaTlsCert, kafkaTlsKey }: KafkaSettings,
  log: Pick<Logger, 'info' | 'warn'>,
): TlsMaterial {
  const sources = Object.entries({ ca: kafkaTlsCa, cert: kafkaTlsCert, key: kafkaTlsKey }).filter(
    (entry): entry is [keyof TlsMaterial, Pem] => entry[1] !== undefined,
  )
  let last: TlsMaterial = Object.fromEntries(sources.map(([name, pem]) => [name, pem.initial]))
  let hasFailed = false
  const current = (): TlsMaterial => {
    try {
      const read: TlsMaterial = Object.fromEntries(sources.map(([name, pem]) => [name, pem.current()]))
      if (read.cert !== undefined && read.key !== undefined && !isKeyOf(read.cert, read.key)) {
        throw new Error('KAFKA_TLS_KEY is not the key of the first certificate in KAFKA_TLS_CERT')
      }
      if (sources.some(([name]) => read[name] !== last[name])) log.info({}, 'Kafka certificates reloaded')
      last = read
      hasFailed = false
    } catch (error) {
      if (!hasFailed) log.warn({ error }, 'Kafka certificates could not be reloaded, using the last ones')
      hasFailed = true
    }
    return last
  }
  // Whoever opens a connection copies the properties of this object.
  const material = {}
  for (const [name] of sources) Object.defineProperty(material, name, { enumerable: true, get: () => current()[name] })
  return material
}
