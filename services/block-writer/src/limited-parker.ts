import type { Parker } from '@longtake/kafka'
import type { Logger } from '@longtake/service'
import type { ParkingLimit } from './parking-limit.ts'
import { instruments } from './telemetry.ts'

/** Of the records of a session that are dropped, the first is logged, and then one in so many. */
const LOG_EVERY = 1000
/** So many sessions are remembered as logged. */
const MAX_LOGGED = 10_000

/** Parks records, except those above their session's limit: they are counted, logged with what is lost, and dropped. */
export function limitParking(parker: Parker, limit: ParkingLimit, logger: Logger): Parker {
  let dropped = 0
  const logged = new Set<string>()
  return {
    async park(record, why) {
      if (limit.admit(record.key, why.reason, record.value.length)) return parker.park(record, why)
      instruments.parkingDropped.add(1, { reason: why.reason })
      dropped += 1
      if (logged.has(record.key) && dropped % LOG_EVERY !== 0) return
      if (logged.size >= MAX_LOGGED) logged.clear()
      logged.add(record.key)
      logger.error(
        { session: record.key, reason: why.reason, offset: String(record.offset), bytes: record.value.length, dropped },
        'record not parked, as its session has parked all that it may: these bytes, which no file can take, are kept nowhere',
      )
    },
  }
}
