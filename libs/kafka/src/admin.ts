import type { Admin } from 'kafkajs'
import { toKafkaError } from './errors.ts'
import { createKafkajs, type KafkaConfig } from './kafkajs.ts'

/**
 * Runs `work` with an administration client of its own, which is closed afterwards.
 * @param doing names the work in the KafkaError that a failure becomes
 */
export async function withAdmin<T>(kafka: KafkaConfig, doing: string, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = createKafkajs(kafka).admin()
  try {
    await admin.connect()
    return await work(admin)
  } catch (error) {
    throw toKafkaError(error, doing)
  } finally {
    await admin.disconnect()
  }
}
