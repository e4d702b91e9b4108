import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buffer } from 'node:stream/consumers'
import { LongtakeError } from '@longtake/contracts'
import { isBlockOf, newBlockIds } from './block-ids.ts'
import { deletePrefix } from './delete-prefix.ts'
import type { BlobStore, Description } from './store.ts'

const WEBM: Description = { contentType: 'video/webm', metadata: { commitid: 'c-1', number: '1' } }
const FIRST = { ifNoneMatch: '*' as const }

/** What every store must do; run against each of them. `makeStore` gives an empty one, `label` names it. */
export function blobConformance(label: string, makeStore: () => Promise<BlobStore>): void {
  const check = (name: string, run: (store: BlobStore) => Promise<void>): void => {
    test(`${label}: ${name}`, async () => run(await makeStore()))
  }

  check('a first commit publishes its blocks in order, with content type and metadata', async (store) => {
    const [a, b] = await stage(store, 's-1/webcam.webm', ['hello ', 'world'])
    assert.equal(await store.properties('s-1/webcam.webm'), null)
    const { etag } = await committed(store, 's-1/webcam.webm', [b, a], FIRST)
    const all = await store.readAll('s-1/webcam.webm')
    assert.equal(all?.bytes.toString(), 'worldhello ')
    assert.deepEqual(all.properties, await store.properties('s-1/webcam.webm'))
    const { lastModified, ...properties } = all.properties
    assert.deepEqual(properties, { etag, bytes: 11, ...WEBM })
    assert.ok(lastModified instanceof Date)
  })

  check('a second first commit is a conflict and changes nothing', async (store) => {
    await committed(store, 'b', await stage(store, 'b', ['mine']), FIRST)
    const other = await stage(store, 'b', ['theirs'])
    assert.deepEqual(await store.commitBlockList('b', other, { ...FIRST, ...WEBM }), { outcome: 'conflict' })
    assert.equal((await store.readAll('b'))?.bytes.toString(), 'mine')
  })

  check('an empty commit makes an empty blob that carries metadata, and media follow it', async (store) => {
    const { etag } = await committed(store, 'b', [], FIRST)
    const empty = await store.readAll('b')
    assert.equal(empty?.bytes.length, 0)
    assert.deepEqual(empty.properties.metadata, WEBM.metadata)
    assert.deepEqual(await store.readRange('b', { offset: 0, count: 10 }), { outcome: 'out-of-range' })
    await committed(store, 'b', await stage(store, 'b', ['media']), { ifMatch: etag })
    assert.equal((await store.readAll('b'))?.bytes.toString(), 'media')
  })

  check('a commit replaces the header block, keeps media blocks, and sets description anew', async (store) => {
    const [header, media] = await stage(store, 'b', ['[h1]', 'media1'])
    const { etag } = await committed(store, 'b', [header, media], FIRST)
    const [newHeader, more] = await stage(store, 'b', ['[h2]', 'media2'])
    const answer = await store.commitBlockList('b', [newHeader, media, more], { ifMatch: etag, contentType: 'video/mp4', metadata: { commitid: 'c-2' } })
    assert.equal(answer.outcome, 'committed')
    const all = await store.readAll('b')
    assert.equal(all?.bytes.toString(), '[h2]media1media2')
    assert.equal(all.properties.contentType, 'video/mp4')
    assert.deepEqual(all.properties.metadata, { commitid: 'c-2' })
    assert.notEqual(all.properties.etag, etag)
    assert.deepEqual(await store.blockList('b'), {
      committed: [
        { id: newHeader, bytes: 4 },
        { id: media, bytes: 6 },
        { id: more, bytes: 6 },
      ],
      uncommitted: [],
    })
  })

  check('a zombie with a stale etag gets a conflict, and what it staged is gone with the other’s commit', async (store) => {
    const { etag } = await committed(store, 'b', await stage(store, 'b', ['old']), FIRST)
    const zombies = await stage(store, 'b', ['zombie'])
    const owners = await stage(store, 'b', ['owner'])
    const { etag: next } = await committed(store, 'b', owners, { ifMatch: etag })
    assert.deepEqual(await store.commitBlockList('b', zombies, { ifMatch: etag, ...WEBM }), { outcome: 'conflict' })
    assert.deepEqual((await store.blockList('b'))?.uncommitted, [])
    // Even with a fresh etag its blocks cannot come back.
    assert.deepEqual(await store.commitBlockList('b', [...owners, ...zombies], { ifMatch: next, ...WEBM }), { outcome: 'invalid-block-list' })
    assert.equal((await store.readAll('b'))?.bytes.toString(), 'owner')
  })

  check('blocks staged by two writers lie beside each other until one commits', async (store) => {
    const mine = await stage(store, 'b', ['mine'])
    const theirs = await stage(store, 'b', ['theirs'])
    const staged = (await store.blockList('b'))?.uncommitted.map(({ id }) => id)
    assert.deepEqual(staged?.sort(), [...mine, ...theirs].sort())
    await committed(store, 'b', theirs, FIRST)
    assert.equal((await store.readAll('b'))?.bytes.toString(), 'theirs')
  })

  check('an unknown block spoils the commit and nothing else', async (store) => {
    const known = await stage(store, 'b', ['known'])
    const { etag } = await committed(store, 'b', known, FIRST)
    const unknown = newBlockIds()(Buffer.from('never staged'))
    assert.deepEqual(await store.commitBlockList('b', [...known, unknown], { ifMatch: etag, ...WEBM }), { outcome: 'invalid-block-list' })
    assert.equal((await store.properties('b'))?.etag, etag)
  })

  check('a commit on a blob that is gone is a conflict', async (store) => {
    const { etag } = await committed(store, 'b', await stage(store, 'b', ['x']), FIRST)
    await store.delete('b')
    assert.deepEqual(await store.commitBlockList('b', await stage(store, 'b', ['y']), { ifMatch: etag, ...WEBM }), { outcome: 'conflict' })
  })

  check('staging the same block again is harmless', async (store) => {
    const [id] = await stage(store, 'b', ['same'])
    await store.stageBlock('b', id, Buffer.from('same'))
    await committed(store, 'b', [id], FIRST)
    assert.equal((await store.readAll('b'))?.bytes.toString(), 'same')
  })

  check('block ids of unlike length, no base64, too long, and empty blocks are refused', async (store) => {
    const x = Buffer.from('x')
    await stage(store, 'b', ['y'])
    await refused(store.stageBlock('b', Buffer.from('short').toString('base64'), x))
    await refused(store.stageBlock('b', 'not base64!', x))
    await refused(store.stageBlock('c', Buffer.alloc(65).toString('base64'), x))
    await refused(store.stageBlock('c', Buffer.alloc(32).toString('base64'), Buffer.alloc(0)))
  })

  check('ranges are read with the properties of the same version', async (store) => {
    const { etag } = await committed(store, 'b', await stage(store, 'b', ['01234', '56789']), FIRST)
    const read = async (range: { offset: number; count?: number; ifMatch?: string }) => {
      const answer = await store.readRange('b', range)
      if (answer.outcome !== 'read') return answer.outcome
      const bytes = await buffer(answer.body)
      assert.equal(answer.bodyBytes, bytes.length)
      assert.equal(answer.properties.bytes, 10)
      assert.deepEqual(answer.properties.metadata, WEBM.metadata)
      return bytes.toString()
    }
    assert.equal(await read({ offset: 0 }), '0123456789')
    assert.equal(await read({ offset: 3, count: 4 }), '3456')
    assert.equal(await read({ offset: 8 }), '89')
    assert.equal(await read({ offset: 8, count: 100 }), '89')
    assert.equal(await read({ offset: 0, count: 1, ifMatch: etag }), '0')
    assert.equal(await read({ offset: 0, ifMatch: '"0x1"' }), 'changed')
    assert.equal(await read({ offset: 10 }), 'out-of-range')
    assert.deepEqual(await store.readRange('none', { offset: 0 }), { outcome: 'not-found' })
    for (const [offset, count] of [[-1, 1], [0, 0], [0.5, 1]] as const) await refused(store.readRange('b', { offset, count }))
  })

  check('a body that nobody reads can be dropped', async (store) => {
    await store.put('b', Buffer.alloc(100_000), WEBM)
    const answer = await store.readRange('b', { offset: 0 })
    assert.equal(answer.outcome, 'read')
    answer.body.destroy()
    await new Promise((resolve) => answer.body.once('close', resolve))
  })

  check('a snapshot keeps a version through later commits', async (store) => {
    const { etag } = await committed(store, 'b', await stage(store, 'b', ['v1']), FIRST)
    const seal = await store.snapshot('b', { ifMatch: etag, metadata: { version: '1' } })
    assert.equal(seal.outcome, 'taken')
    const { snapshot } = seal
    assert.equal((await store.properties('b'))?.etag, etag)
    const { etag: next } = await committed(store, 'b', await stage(store, 'b', ['v2']), { ifMatch: etag })
    assert.equal((await store.readAll('b', { snapshot }))?.bytes.toString(), 'v1')
    assert.deepEqual((await store.properties('b', { snapshot }))?.metadata, { version: '1' })
    assert.equal((await store.readAll('b'))?.bytes.toString(), 'v2')
    assert.deepEqual(await store.snapshot('b', { ifMatch: etag, metadata: {} }), { outcome: 'conflict' })
    assert.deepEqual(await store.snapshot('none', { ifMatch: etag, metadata: {} }), { outcome: 'conflict' })
    const again = await store.snapshot('b', { ifMatch: next, metadata: {} })
    assert.equal(again.outcome, 'taken')
    assert.deepEqual((await store.properties('b', { snapshot: again.snapshot }))?.metadata, WEBM.metadata)
  })

  check('put writes a blob without blocks, once or always', async (store) => {
    const written = await store.put('b', Buffer.from('one'), { ...WEBM, ...FIRST })
    assert.equal(written.outcome, 'written')
    assert.deepEqual(await store.put('b', Buffer.from('one'), { ...WEBM, ...FIRST }), { outcome: 'conflict' })
    assert.deepEqual(await store.put('b', Buffer.from('two'), { ...WEBM, ifMatch: '"0x1"' }), { outcome: 'conflict' })
    assert.equal((await store.put('b', Buffer.from('two'), { ...WEBM, ifMatch: written.etag })).outcome, 'written')
    assert.equal((await store.put('b', Buffer.from('three'), { contentType: 'text/plain', metadata: {} })).outcome, 'written')
    const all = await store.readAll('b')
    assert.equal(all?.bytes.toString(), 'three')
    assert.equal(all.properties.contentType, 'text/plain')
    assert.deepEqual(all.properties.metadata, {})
    assert.deepEqual(await store.blockList('b'), { committed: [], uncommitted: [] })
    assert.equal((await store.put('empty', Buffer.alloc(0), WEBM)).outcome, 'written')
  })

  check('metadata that Azure would change or refuse is refused before it is sent', async (store) => {
    for (const metadata of [{ commitId: 'x' }, { '1a': 'x' }, { 'a-b': 'x' }, { a: '' }, { a: ' x' }, { a: 'ä' }, { a: 'x\n' }, { a: 'x'.repeat(8192) }]) {
      await refused(store.put('b', Buffer.from('x'), { contentType: 'text/plain', metadata }))
      await refused(store.commitBlockList('b', [], { ...FIRST, contentType: 'text/plain', metadata }))
    }
  })

  check('nothing is found where nothing is', async (store) => {
    assert.equal(await store.properties('none'), null)
    assert.equal(await store.readAll('none'), null)
    assert.equal(await store.blockList('none'), null)
    await store.delete('none')
  })

  check('lists go by prefix, in order, over several pages, without what was only staged', async (store) => {
    const names = ['s-1/a', 's-1/b/c', 's-1/ä ö?#%', 's-10/a', 's-2/a']
    for (const name of names.toReversed()) await store.put(name, Buffer.from(name), WEBM)
    await stage(store, 's-1/staged', ['x'])
    const { etag } = (await store.properties('s-1/a')) ?? assert.fail()
    const { snapshot } = (await store.snapshot('s-1/a', { ifMatch: etag, metadata: {} })) as { snapshot: string }
    assert.deepEqual(await collect(store.list('s-1/'), ({ name }) => name), names.slice(0, 3))
    assert.deepEqual(await collect(store.list(''), ({ name }) => name), names)
    assert.deepEqual(await collect(store.list('nothing'), ({ name }) => name), [])
    const listed = await collect(store.list('s-1/', { snapshots: true }), (blob) => blob)
    assert.deepEqual(listed.flatMap((blob) => blob.snapshot ?? []), [snapshot])
    assert.equal(listed.length, 4)
    const { name, ...properties } = listed.find((blob) => blob.snapshot === undefined) ?? assert.fail()
    assert.deepEqual(properties, await store.properties(name))
    assert.equal((await store.readAll('s-1/ä ö?#%'))?.bytes.toString(), 's-1/ä ö?#%')
  })

  check('delete spares snapshots unless told, and a prefix goes with them', async (store) => {
    for (const name of ['s-1/a', 's-1/b', 's-10/a']) await store.put(name, Buffer.from('x'), WEBM)
    const { etag } = (await store.properties('s-1/a')) ?? assert.fail()
    await store.snapshot('s-1/a', { ifMatch: etag, metadata: {} })
    await assert.rejects(store.delete('s-1/a'), { code: 'BLOB_HAS_SNAPSHOTS' })
    assert.equal(await deletePrefix(store, 's-1/'), 2)
    assert.deepEqual(await collect(store.list('', { snapshots: true }), ({ name }) => name), ['s-10/a'])
    for (const prefix of ['', '/', 's-1']) await assert.rejects(deletePrefix(store, prefix), TypeError)
  })

  check('a content type that no header can carry, or that would come back as another, is refused', async (store) => {
    for (const contentType of ['', 'video/webm;codecs=é', 'video/webm;\u0001', 'video/webm; ']) {
      await refused(store.put('b', Buffer.from('x'), { contentType, metadata: {} }))
      await refused(store.commitBlockList('b', [], { ...FIRST, contentType, metadata: {} }))
    }
    assert.equal(await store.properties('b'), null)
  })

  check('an aborted signal ends every call with its reason', async (store) => {
    const reason = new Error('enough')
    const signal = AbortSignal.abort(reason)
    const calls = [
      () => store.stageBlock('b', newBlockIds()(Buffer.from('x')), Buffer.from('x'), { signal }),
      () => store.commitBlockList('b', [], { ...FIRST, ...WEBM, signal }),
      () => store.put('b', Buffer.from('x'), { ...WEBM, signal }),
      () => store.readRange('b', { offset: 0, signal }),
      () => store.properties('b', { signal }),
      () => store.blockList('b', { signal }),
      () => store.snapshot('b', { ifMatch: '"0x1"', metadata: {}, signal }),
      () => store.delete('b', { signal }),
      () => collect(store.list('', { signal }), () => undefined),
      () => store.ping({ signal }),
    ]
    for (const call of calls) await assert.rejects(call(), (error) => error === reason)
    assert.equal(await store.properties('b'), null)
  })

  check('what a block holds is proven by its id', async (store) => {
    const [id] = await stage(store, 'b', ['right'])
    await committed(store, 'b', [id], FIRST)
    const { bytes } = (await store.readAll('b')) ?? assert.fail()
    assert.ok(isBlockOf(id, bytes))
    assert.ok(!isBlockOf(id, Buffer.from('wrong')))
  })
}

/** Stages texts as a writer of its own would and returns their ids. */
async function stage<T extends readonly string[]>(store: BlobStore, blob: string, texts: readonly [...T]): Promise<{ [K in keyof T]: string }> {
  const idFor = newBlockIds()
  const ids: string[] = []
  for (const text of texts) {
    const bytes = Buffer.from(text)
    const id = idFor(bytes)
    await store.stageBlock(blob, id, bytes)
    ids.push(id)
  }
  return ids as { [K in keyof T]: string }
}

async function committed(store: BlobStore, blob: string, ids: readonly string[], condition: { ifMatch: string } | { ifNoneMatch: '*' }) {
  const answer = await store.commitBlockList(blob, ids, { ...condition, ...WEBM })
  assert.equal(answer.outcome, 'committed')
  return answer
}

async function refused(call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error) => error instanceof LongtakeError && error.code === 'BLOB_REFUSED')
}

async function collect<T, R>(items: AsyncIterable<T>, map: (item: T) => R): Promise<R[]> {
  const all: R[] = []
  for await (const item of items) all.push(map(item))
  return all
}
