import type { Cluster } from '../cluster.ts'
import { KafkaError, toKafkaError } from '../errors.ts'
import { createErrorFromCode } from '../kafkajs.ts'

interface InitProducerIdResponse {
  errorCode: number
  producerId: string
}

/**
 * Asks the cluster for an id that no other producer has (InitProducerId, KIP-98); any broker hands them out. What the
 * broker refuses is thrown as a KafkaError, anything else may pass.
 */
export async function initProducerId(cluster: Cluster, nodeId: number): Promise<bigint> {
  const args = { transactionalId: null, transactionTimeout: 0 }
  const { errorCode, producerId } = await cluster.raw<InitProducerIdResponse>(nodeId, 'InitProducerId', args)
  if (errorCode !== 0) throw toKafkaError(createErrorFromCode(errorCode), 'asking for a producer id')
  const id = BigInt(producerId)
  if (id < 0n) throw new KafkaError('KAFKA_UNEXPECTED_ANSWER', `the broker returned the invalid producer id ${id}`)
  return id
}
