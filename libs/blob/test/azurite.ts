import { randomUUID } from 'node:crypto'
import { testAzurite } from '@longtake/testkit'
import { openBlobStore } from '../src/index.ts'

/** Small enough for tests to wait out, and a page size that makes lists turn pages. */
const FAST = { tries: 4, tryTimeoutMs: 10_000, firstDelayMs: 5, maxDelayMs: 20, listPageSize: 2 }

/** A store on an empty container of its own, reached directly or through a proxy's origin. */
export async function azuriteStore(options: { origin?: string; container?: string; tryTimeoutMs?: number } = {}) {
  const { origin, container = `test-${randomUUID()}`, ...policy } = options
  const connectionString = origin === undefined ? testAzurite() : testAzurite().replace(azuriteOrigin(), origin)
  const config = { azureConnectionString: { reveal: () => connectionString }, azureAccountUrl: undefined, azureContainer: container }
  const store = await openBlobStore(config, { ...FAST, ...policy })
  await store.ensureContainer()
  return store
}

export function azuriteOrigin(): string {
  const endpoint = /BlobEndpoint=([^;]+)/.exec(testAzurite())?.[1]
  if (endpoint === undefined) throw new Error('the connection string names no blob endpoint')
  return new URL(endpoint).origin
}
