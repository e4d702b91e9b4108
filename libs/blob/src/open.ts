import { BlobServiceClient, newPipeline } from '@azure/storage-blob'
import { LongtakeError } from '@longtake/contracts'
import { DEFAULT_RETRY_POLICY, type RetryPolicy } from './attempts.ts'
import { AzureBlobStore } from './azure-store.ts'
import type { BlobStore } from './store.ts'

/** Exactly one of the first two. */
export interface AzureConfig {
  azureConnectionString: { reveal(): string } | undefined
  /** Spoken to by `DefaultAzureCredential`: a managed identity in production, a developer's login elsewhere. */
  azureAccountUrl: string | undefined
  azureContainer: string
}

/** Opens the container's store; call it after telemetry has been registered. Makes no request yet. */
export async function openBlobStore(config: AzureConfig, options: Partial<RetryPolicy> & { listPageSize?: number } = {}): Promise<BlobStore> {
  const { listPageSize = 1000, ...policy } = options
  const service = await connect(config)
  return new AzureBlobStore(service.getContainerClient(config.azureContainer), { ...DEFAULT_RETRY_POLICY, ...policy }, listPageSize)
}

// The SDK's retries are off: they know no bound for a silent connection (its timeout is the server's), no jitter, and
// no call that must not be repeated. `attempts.ts` is the one place that retries.
const NO_SDK_RETRIES = { retryOptions: { maxTries: 1 } }

async function connect({ azureConnectionString, azureAccountUrl }: AzureConfig): Promise<BlobServiceClient> {
  if (azureConnectionString && !azureAccountUrl) return BlobServiceClient.fromConnectionString(azureConnectionString.reveal(), NO_SDK_RETRIES)
  if (azureAccountUrl && !azureConnectionString) {
    // Slow to load, and of no use with a connection string.
    const { DefaultAzureCredential } = await import('@azure/identity')
    return new BlobServiceClient(azureAccountUrl, newPipeline(new DefaultAzureCredential(), NO_SDK_RETRIES))
  }
  throw new LongtakeError('INVALID_CONFIG', 'One setting is wrong:\n  set either AZURE_STORAGE_CONNECTION_STRING or LONGTAKE_AZURE_ACCOUNT_URL')
}
