import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openBlobStore } from '../src/index.ts'

const connection = { reveal: () => 'DefaultEndpointsProtocol=http;AccountName=a;AccountKey=aHVzaA==;BlobEndpoint=http://127.0.0.1:1/a;' }

test('a connection string and an account URL exclude each other, and one is needed', async () => {
  const azureContainer = 'recordings'
  for (const config of [
    { azureConnectionString: undefined, azureAccountUrl: undefined },
    { azureConnectionString: connection, azureAccountUrl: 'https://a.blob.core.windows.net' },
  ]) {
    await assert.rejects(openBlobStore({ ...config, azureContainer }), { code: 'INVALID_CONFIG', message: /AZURE_STORAGE_CONNECTION_STRING or LONGTAKE_AZURE_ACCOUNT_URL/ })
  }
})

test('an account URL without anything to sign in with is told as forbidden, at the first call', async () => {
  // Keeps the credential from asking this machine's surroundings for an identity.
  process.env['AZURE_TOKEN_CREDENTIALS'] = 'EnvironmentCredential'
  const store = await openBlobStore({ azureConnectionString: undefined, azureAccountUrl: 'https://127.0.0.1:1', azureContainer: 'recordings' })
  await assert.rejects(store.ping(), { code: 'BLOB_FORBIDDEN', message: /credential/i })
})
