import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  type CreateSessionResponse,
  decodeEvent,
  isRecordFault,
  type Manifest,
  type PublicSession,
  type RecordingEvent,
  TOPICS,
} from '@longtake/contracts'
import { readTable } from '@longtake/kafka'
import { concat, Conditions, loadRecording, recut } from '@longtake/testkit'
import { damagedFrame, inverted, resizedMp4 } from '../../services/remuxer/test/damaged.ts'
import { launchChromium } from '../e2e/chromium.ts'
import { untilPage } from '../e2e/until-page.ts'
import type { System } from '../local/system.ts'
import {
  call,
  connect,
  createSession,
  disposableSystem,
  finalized,
  RECORDING_SERVICES,
  untilStatus,
} from './sessions.ts'

type Gap = PublicSession['tracks'][string]['parts'][number]['gaps'][number]
const gapsOf = ({ tracks }: PublicSession): Gap[] =>
  Object.values(tracks).flatMap(({ parts }) => parts.flatMap(({ gaps }) => gaps))

/** A finished session with one part of these chunks. */
async function recorded(
  system: System,
  chunks: readonly Uint8Array[],
  mimeType: string,
): Promise<CreateSessionResponse> {
  const session = await createSession(system)
  const client = await connect(system, session)
  const part = await client.open({ track: 'phone', mimeType })
  for (const [seq, bytes] of chunks.entries()) client.send(part, seq, bytes)
  await client.allAcknowledged(part)
  await client.close(part)
  await client.finish()
  await client.disconnect()
  return session
}

/** Everything that is published, and a way to wait for it. */
function watchEvents(
  system: System,
): { until: (what: string, holds: (event: RecordingEvent) => boolean) => Promise<void> } & AsyncDisposable {
  const events: RecordingEvent[] = []
  const seen = new Conditions()
  const reader = readTable({
    kafka: { brokers: [system.brokers], clientId: 'undecodable-test' },
    topic: TOPICS.events.name,
    onRecord: (record) => {
      const event = decodeEvent({ ...record, headers: { ...record.headers } })
      if (!isRecordFault(event)) events.push(event)
      seen.changed()
    },
    onFatal: (error) => {
      throw error
    },
  })
  return {
    until: (what, holds) =>
      seen.until(
        what,
        () => events.some(holds),
        90_000,
        () => JSON.stringify(events.map(({ type }) => type)),
      ),
    [Symbol.asyncDispose]: () => reader.close(),
  }
}

/** Opens the watch page as Safari would, and waits for what holds of its `<video>`, one after the other. */
async function watchAsSafari(url: string, ...holds: string[]): Promise<void> {
  const browser = await launchChromium()
  try {
    const page = await browser.newPage({ userAgent: SAFARI })
    await page.goto(url)
    for (const what of holds) {
      await untilPage(
        page,
        `(() => { const video = document.querySelector('video'); return video !== null && video.duration > 10 && ${what} })()`,
      )
    }
  } finally {
    await browser.close()
  }
}

const SAFARI =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15'

test('what a decoder does not show is a gap of the next version; a viewer who asks gets an MP4', async (t) => {
  await using system = await disposableSystem({ services: [...RECORDING_SERVICES, 'remuxer'] })
  await using events = watchEvents(system)
  const folder = await mkdtemp(join(tmpdir(), 'undecodable-test-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const mp4 = (inBand: boolean): Uint8Array[] => recut(resizedMp4(folder, { inBand, profile: 'baseline' }), 7)

  await t.test('an MP4 whose size changes has a gap from there on, in status and manifest', async () => {
    const { id: session } = await recorded(system, mp4(false), 'video/mp4;codecs=avc1.42E01F')
    const status = await untilStatus(system, session, (one) => one.version === 2 && finalized(one))
    assert.equal(status.status, 'complete-with-gaps')
    const [gap, ...others] = gapsOf(status)
    assert.deepEqual(others, [])
    assert.deepEqual([gap?.kind, gap?.state, gap?.cause], ['undecodable', 'confirmed', 'decoder-errors'])
    assert.ok(Math.abs(gap!.startMs! - 2_000) < 100 && Math.abs(gap!.endMs! - 4_000) < 100, JSON.stringify(gap))
    const manifest = await call<Manifest>(system, `/v1/sessions/${session}/manifest`)
    assert.deepEqual(
      [manifest.version, manifest.status, manifest.gaps.map(({ cause }) => cause)],
      [2, 'complete-with-gaps', ['decoder-errors']],
    )
  })

  await t.test('one that states its sizes stays complete in its first version', async () => {
    const { id: session } = await recorded(system, mp4(true), 'video/mp4;codecs=avc3.42E01F')
    await events.until('the file is decoded', (event) => event.type === 'file-decoded' && event.session === session)
    const status = await untilStatus(system, session, finalized)
    assert.deepEqual([status.status, status.version, gapsOf(status)], ['complete', 1, []])
  })

  await t.test('a damaged frame in a sound WebM has a gap with its time', async () => {
    const { chunks, mimeType } = loadRecording('chrome-webcam-vp9-keyframe-2s')
    const { bytes, ms } = damagedFrame(concat(chunks), 1, 6_000, inverted(0, 10))
    const { id: session } = await recorded(system, recut(bytes, 3), mimeType)
    const status = await untilStatus(system, session, (one) => one.version === 2 && finalized(one))
    const [gap, ...others] = gapsOf(status)
    assert.deepEqual([others, gap?.kind, gap?.cause], [[], 'undecodable', 'decoder-errors'])
    assert.ok(Math.abs(gap!.startMs! - ms) < 100 && gap!.endMs! > ms && gap!.endMs! < ms + 2_500, JSON.stringify(gap))
  })

  await t.test('the MP4 of a WebM track is pending once it was asked for, and then there', async () => {
    const { chunks, mimeType } = loadRecording('chrome-webcam-vp9-opus')
    const { id: session, watch } = await recorded(system, chunks, mimeType)
    await untilStatus(system, session, finalized)
    const path = `/v1/sessions/${session}/tracks/phone/mp4`
    const ask = (): Promise<Response> =>
      fetch(system.queryUrl + path, { headers: { authorization: `Bearer ${system.apiKey}` } })
    const first = await ask()
    assert.deepEqual([first.status, ((await first.json()) as { code: string }).code], [404, 'RENDITION_PENDING'])
    await untilStatus(system, session, ({ tracks }) =>
      tracks['phone']!.renditions.some(({ kind, url }) => kind === 'mp4' && url !== null),
    )
    const made = await ask()
    assert.deepEqual([made.status, made.headers.get('content-type')], [200, 'video/mp4'])
    assert.ok((await made.arrayBuffer()).byteLength > 100_000)
    await watchAsSafari(`${watch.url}#token=${watch.token}`, "video.currentSrc.includes('/mp4?')")
  })

  await t.test(
    'a watch page in Safari asks for the MP4 by itself, and plays the recording until it is there',
    async () => {
      const { chunks, mimeType } = loadRecording('firefox-webcam-vp8')
      const { id: session, watch } = await recorded(system, chunks, mimeType)
      await untilStatus(system, session, finalized)
      await watchAsSafari(
        `${watch.url}#token=${watch.token}`,
        "!video.currentSrc.includes('/mp4?')",
        "video.currentSrc.includes('/mp4?')",
      )
    },
  )
})
