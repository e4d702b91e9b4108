// Loaded into Azurite's process before Azurite itself. Azurite keeps its metadata in memory and saves it every five
// seconds, so a kill -9 loses commits that it has answered. Azure does not: here a change is answered only once
// it is on disk. Changes that wait at the same time share one save (lokijs queues them).
'use strict'
const { promisify } = require('node:util')
const { buffer } = require('node:stream/consumers')

// Azurite frees a file of blob content (an extent) when no blob refers to any part of it any more, every ten minutes.
// Each of 50 writers fills one of 64 MiB at a time, so a little live content keeps many times its size on the disk:
// with smaller files, looked at more often, overwritten blocks and deleted recordings are gone soon.
const sizes = require('azurite/dist/src/common/utils/constants.js')
const intervals = require('azurite/dist/src/blob/utils/constants.js')
for (const value of [sizes.DEFAULT_MAX_EXTENT_SIZE, intervals.DEFAULT_GC_INTERVAL_MS]) {
  if (typeof value !== 'number') throw new Error('This version of Azurite has another extent size or GC interval: adapt azurite-durable.cjs.')
}
sizes.DEFAULT_MAX_EXTENT_SIZE = 8 << 20
intervals.DEFAULT_GC_INTERVAL_MS = 120_000

const FileStore = require('azurite/dist/src/common/persistence/FSExtentStore.js').default
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

// Azurite 3.37 streams a request's body into the file while the client still sends it, and does not survive clients that
// go away. A body that is aborted while it waits for one of the 50 write slots emits no event any more, so its slot is
// never released: after 50 of them no write is ever answered again. One that is aborted while it is written closes the
// file's descriptor below writes that are still under way; the number is reused, and they may end up in another file.
// A body that is received completely before it is queued can do neither.
const { appendExtent } = FileStore.prototype
if (typeof appendExtent !== 'function') throw new Error('This version of Azurite has no appendExtent: adapt azurite-durable.cjs.')
FileStore.prototype.appendExtent = async function appendWhole(data, contextId) {
  return appendExtent.call(this, Buffer.isBuffer(data) ? data : await received(data), contextId)
}

function received(body) {
  // `buffer` would wait for ever for the end of a stream that was destroyed before.
  if (body.destroyed && !body.readableEnded) return Promise.reject(new Error('the client has closed the connection'))
  return buffer(body)
}
