import { randomUUID } from 'node:crypto'
import { testAzurite } from '@longtake/testkit'
import { type BlobStore, openBlobStore } from '../src/index.ts'

/** Small enough for tests to wait out, and a page size that makes lists turn pages. */
const FAST = { tries: 4, tryTimeoutMs: 10_000, firstDelayMs: 5, maxDelayMs: 20, listPageSize: 2 }

interface Options {
  /** Reaches Azurite through this origin, a proxy's. */
  origin?: string
  connectionString?: string
  container?: string
  create?: boolean
  tryTimeoutMs?: number
}

/** A store on an empty container of its own. */
export async function azuriteStore(options: Options = {}): Promise<BlobStore> {
  const { origin = azuriteOrigin(), connectionString = testAzurite(), container = `test-${randomUUID()}`, create = true, ...policy } = options
  const reveal = (): string => connectionString.replace(azuriteOrigin(), origin)
  const config = { azureConnectionString: { reveal }, azureAccountUrl: undefined, azureContainer: container }
  const store = await openBlobStore(config, { ...FAST, ...policy })
  if (create) await store.ensureContainer()
  return store
}

export function azuriteOrigin(): string {
  const endpoint = /BlobEndpoint=([^;]+)/.exec(testAzurite())?.[1]
  if (endpoint === undefined) throw new Error('the connection string names no blob endpoint')
  return new URL(endpoint).origin
}
