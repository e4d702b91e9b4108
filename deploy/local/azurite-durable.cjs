// Loaded into Azurite's process before Azurite itself. Azurite keeps its metadata in memory and saves it every five
// seconds, so a kill -9 loses commits that it has answered. Azure does not: here a change is answered only once
// it is on disk. Changes that wait at the same time share one save (lokijs queues them).
'use strict'
const { promisify } = require('node:util')
const ExtentStore = require('azurite/dist/src/common/persistence/LokiExtentMetadataStore.js').default
const BlobStore = require('azurite/dist/src/blob/persistence/LokiBlobMetadataStore.js').default

// A staged block is not among them: Azure's own writers must cope with one that vanished before its commit.
const CHANGES = [
  'createContainer',
  'deleteContainer',
  'setContainerMetadata',
  'setContainerACL',
  'setServiceProperties',
  'createBlob',
  'commitBlockList',
  'createSnapshot',
  'deleteBlob',
  'setBlobHTTPHeaders',
  'setBlobMetadata',
  'setBlobTag',
  'setTier',
  'appendBlock',
  'sealBlob',
  'copyFromURL',
  'startCopyFromURL',
  'acquireBlobLease',
  'releaseBlobLease',
  'renewBlobLease',
  'changeBlobLease',
  'breakBlobLease',
]

const extentDatabases = new Set()

function save(db) {
  return promisify(db.saveDatabase.bind(db))()
}

function wrap(prototype, name, after) {
  const original = prototype[name]
  if (typeof original !== 'function') throw new Error(`This version of Azurite has no ${name}: adapt azurite-durable.cjs.`)
  prototype[name] = async function wrapped(...args) {
    const result = await original.apply(this, args)
    await after(this)
    return result
  }
}

wrap(ExtentStore.prototype, 'init', (store) => {
  extentDatabases.add(store.db)
})

for (const name of CHANGES) {
  wrap(BlobStore.prototype, name, async (store) => {
    // First where the bytes lie, then what refers to them.
    for (const db of extentDatabases) await save(db)
    await save(store.db)
  })
}
