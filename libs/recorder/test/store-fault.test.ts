import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { CLOSE_CODES } from '@longtake/contracts/protocol'
import type { Report } from '../src/api.ts'
import { restorePart } from '../src/recovery/recovery-plan.ts'
import { startRecorder } from '../src/recorder.ts'
import { spooledClients, withSpoolDatabase } from '../src/spool/spool-database.ts'
import { Spool } from '../src/spool/spool.ts'
import { installFakePage } from './fake-page.ts'
import { FakeSocket } from './fake-socket.ts'
import { FakeMediaRecorder, FakeSource, streamOf, until } from './media-fakes.ts'
import { SPOOL_KEY, spoolKey } from './spool-key.ts'

const NO_SPACE = new DOMException('Internal error committing transaction: FILE_ERROR_NO_SPACE', 'UnknownError')
const BROKEN = new DOMException('Internal error committing transaction.', 'UnknownError')

let restore: () => void
beforeEach(() => {
  restore = installFakePage()
})
afterEach(() => {
  mock.restoreAll()
  restore()
})

/** As browsers do when a commit fails: the transaction has the reason, and each of its requests rejects with `AbortError`. */
function failCommits(reason: DOMException): () => void {
  const put = Reflect.get(IDBObjectStore.prototype, 'put') as (value: unknown, key?: IDBValidKey) => IDBRequest
  const failing = mock.method(IDBObjectStore.prototype, 'put', function (this: IDBObjectStore, ...record: [unknown]) {
    const request = put.apply(this, record)
    if (this.name === 'payloads') {
      const { transaction } = this
      queueMicrotask(() => {
        transaction.abort()
        Object.defineProperty(transaction, 'error', { value: reason })
      })
    }
    return request
  })
  return () => failing.mock.restore()
}

const give = async (text: string, isDone: () => boolean): Promise<void> => {
  FakeMediaRecorder.running[0]!.give(text)
  await until(isDone)
}

async function recording() {
  const session = randomUUID()
  const recorder = await startRecorder({ ingest: { url: `ws://g/v1/ingest/${session}`, token: 't', spoolKey: SPOOL_KEY }, tracks: { webcam: { stream: streamOf(new FakeSource('video')) } } })
  const reports: Report[] = []
  recorder.on('report', (report) => reports.push(report))
  recorder.on('error', () => undefined)
  const recorded = (): number => recorder.progress['webcam']?.recorded.chunks ?? 0
  const end = async (): Promise<void> => {
    FakeSocket.all[0]!.breaks(CLOSE_CODES.deleted)
    await until(() => recorder.state.phase === 'failed')
  }
  return { recorder, reports, recorded, end }
}

for (const [reason, cause] of [[NO_SPACE, 'quota'], [BROKEN, 'store-failed']] as const) {
  test(`${reason.message} is reported as ${cause} before anything is lost, and shown while it lasts`, async () => {
    const { recorder, reports, recorded, end } = await recording()
    const works = failCommits(reason)
    for (let chunk = 1; chunk <= 3; chunk++) await give('data', () => recorded() === chunk)
    assert.deepEqual(reports.map(({ event }) => event), [cause], 'once while it lasts')
    assert.deepEqual(recorder.progress['webcam']?.lost.chunks, 0)
    assert.match(recorder.situation.words, /cannot store the recording: leave this page open/)
    works()
    await give('data', () => recorded() === 4)
    assert.equal(recorder.situation.words, 'Recording')
    await end()
  })

  test(`whoever comes after a page whose store failed with ${reason.message} declares ${cause}`, async () => {
    const session = randomUUID()
    const spool = await Spool.create({ session, client: 'c', ingestUrl: '', startedAt: 5 }, await spoolKey())
    const part = randomUUID()
    await spool.addPart({ part, track: 'webcam', mimeType: 'video/webm', startedAt: 7 })
    const works = failCommits(reason)
    await spool.addChunk({ part, seq: 0, payload: new ArrayBuffer(4), capturedAt: 0 })
    works()
    await spool.close()
    const client = (await withSpoolDatabase(spooledClients)).find((record) => record.session === session)!
    const left = await Spool.resume(client, await spoolKey())
    assert.ok(left !== 'wrong-key')
    assert.deepEqual(restorePart(left.parts[0]!, left.chunks).lost.map((lost) => lost.cause), [cause])
    await left.spool.close()
  })
}

test('what is lost once the memory is full, too, is reported and declared with its cause', async () => {
  const { reports, recorded, end } = await recording()
  FakeSocket.all[0]!.says({ type: 'welcome', session: 's', serverTime: new Date().toISOString(), maxChunkBytes: 2 ** 20, windowBytes: 2 ** 20, heartbeatMs: 10_000 })
  failCommits(NO_SPACE)
  for (let chunk = 1; chunk <= 9; chunk++) await give('x'.repeat(2 ** 20), () => recorded() === chunk)
  assert.deepEqual(reports.map(({ event }) => event), ['quota', 'quota'])
  assert.match(reports[1]!.detail ?? '', /lost/)
  const lost = FakeSocket.all[0]!.sent.filter(({ type }) => type === 'lost') as unknown as { cause: string }[]
  assert.ok(lost.length > 0 && lost.every(({ cause }) => cause === 'quota'))
  await end()
})
