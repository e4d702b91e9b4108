import type { ClientRequest } from '@longtake/contracts'
import type { Parker } from '@longtake/kafka'
import type { Logger } from '@longtake/service'
import type { ParkingLimit } from './parking-limit.ts'
import { instruments } from './telemetry.ts'

export interface LimitedParkerOptions {
  readonly parker: Parker
  readonly limit: ParkingLimit
  readonly logger: Logger
  now(this: void): number
  /** Resolves once Kafka has the request. */
  request(this: void, partition: number, request: ClientRequest): Promise<void>
}

/**
 * Parks every record, as it was acknowledged, and asks the gateways to refuse the chunks of a session that has parked all that
 * it may. What they have acknowledged before they hear of it is parked, too.
 */
export function limitParking({ parker, limit, logger, now, request }: LimitedParkerOptions): Parker {
  const refuse = async (session: string, partition: number): Promise<void> => {
    limit.asked(session, now())
    try {
      await request(partition, { type: 'parking-full', session, at: new Date(now()).toISOString() })
      logger.error({ session }, 'session has parked all that it may: gateways refuse its chunks for an hour')
    } catch (error) {
      logger.error({ session, error }, 'session has parked all that it may, and gateways could not be asked to refuse its chunks, retrying in a minute')
    }
  }
  return {
    async park(record, why) {
      await parker.park(record, why)
      if (!limit.count(record.key, why.reason, record.value.length)) return
      instruments.parkingExcess.add(1, { reason: why.reason })
      if (limit.isDue(record.key, now())) await refuse(record.key, record.partition)
    },
  }
}
