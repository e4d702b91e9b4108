import { messageOf } from '@longtake/contracts/error-message'
import type { PlannedTrack, PreflightFacts, PreflightOptions, PreflightResult, TransportKind, UplinkFacts } from '../api.ts'
import { inTime, inTimeOr } from '../in-time.ts'
import { ingestUrlOf } from '../upload/ingest-url.ts'
import { chooseMimeType, kindsOf, thisBrowser, type Kinds } from '../capture/media-type.ts'
import { judgePreflight } from './preflight-judgement.ts'
import { completed, done } from '../spool/indexed-db.ts'
import { lossCauseOf } from '../spool/loss-cause.ts'
import { DEFAULT_BITRATES } from '../capture/track-options.ts'
import { untilAborted } from '../until-aborted.ts'
import { UplinkProbe } from './uplink-probe.ts'

const STORE = 'longtake-preflight'
/** A browser answers such questions within milliseconds; one that does not answer is a finding of its own. */
const ANSWER_PATIENCE_MS = 5000
/** A token may have to come from a backend that has just been woken. */
const TOKEN_PATIENCE_MS = 20_000

/**
 * Looks before the start at all that recording needs; records nothing and asks the person nothing. With `ingest` it measures
 * the line, for about three seconds.
 * @throws RecorderError `invalid-options`
 */
export async function preflight({ ingest, tracks, signal }: PreflightOptions): Promise<PreflightResult> {
  signal?.throwIfAborted()
  const planned = Object.entries(tracks)
  const camera = planned.some(([, { source }]) => source === 'camera')
  const microphone = planned.some(([, track]) => track.source === 'camera' && kindsOfPlan(track).audio)
  const mediaRecorder = typeof MediaRecorder !== 'undefined'
  const measured = ingest === undefined ? null : measure(ingest, signal)
  const looks = Promise.all([faultOfStore(), lastsStorage(), countDevices(), askPermissions(), askSpace(), measured])
  const [storeFault, storageLasts, devices, permissions, availableBytes, uplink] = await untilAborted(looks, signal)
  return judgePreflight({
    secureContext: isSecureContext,
    mediaRecorder,
    store: storeFault === null,
    storeFault,
    storageLasts,
    mimeTypes: Object.fromEntries(planned.map(([name, track]) => [name, mediaRecorder ? (chooseMimeType(kindsOfPlan(track), thisBrowser, track.videoCodec) ?? null) : null])),
    wants: { camera, microphone },
    devices,
    permissions,
    availableBytes,
    bitsPerSecond: planned.reduce((sum, [, track]) => sum + bitsOf(track), 0),
    surfaces: Object.fromEntries(planned.flatMap(([name, { stream }]) => surfaceOf(stream).map((surface) => [name, surface]))),
    uplink,
  })
}

function kindsOfPlan({ audio = true, source, stream }: PlannedTrack): Kinds {
  return stream === undefined ? { video: true, audio: audio && source === 'camera' } : kindsOf(stream.getTracks())
}

function bitsOf(track: PlannedTrack): number {
  const { video, audio } = kindsOfPlan(track)
  const { videoBitsPerSecond, audioBitsPerSecond } = { ...DEFAULT_BITRATES, ...track }
  return (video ? videoBitsPerSecond : 0) + (audio ? audioBitsPerSecond : 0)
}

/** None where nothing is known of it, as of a camera. */
function surfaceOf(stream: MediaStream | undefined): string[] {
  const settings = stream?.getVideoTracks()[0]?.getSettings() as { displaySurface?: string } | undefined
  return settings?.displaySurface === undefined ? [] : [settings.displaySurface]
}

/** Why nothing can be written: private windows of some browsers only look as if, and a store may not answer at all. */
async function faultOfStore(): Promise<PreflightFacts['storeFault']> {
  return inTime(tryStore(), ANSWER_PATIENCE_MS, () => new Error('silent')).then(
    () => null,
    (error: Error) => (error.message === 'silent' ? 'silent' : lossCauseOf(error) === 'quota' ? 'full' : 'refused'),
  )
}

/** Private windows of Firefox and Safari have IndexedDB, but no file system of their own. Chrome's look like any other window on purpose. */
async function lastsStorage(): Promise<PreflightFacts['storageLasts']> {
  const { storage } = navigator as Partial<Navigator>
  if (storage?.getDirectory === undefined) return 'unknown'
  const hasDirectory = await inTimeOr(storage.getDirectory().then(() => true, () => false), ANSWER_PATIENCE_MS, 'unknown' as const)
  if (hasDirectory !== true) return hasDirectory
  return (await inTimeOr(storage.persisted(), ANSWER_PATIENCE_MS, false)) || 'unknown'
}

async function tryStore(): Promise<void> {
  const open = indexedDB.open(STORE)
  open.addEventListener('upgradeneeded', () => open.result.createObjectStore('probe'))
  await done(open)
  try {
    const transaction = open.result.transaction('probe', 'readwrite')
    transaction.objectStore('probe').put(new ArrayBuffer(1), 'probe')
    // A full disk may let the request succeed, and fail only the commit.
    await completed(transaction)
  } finally {
    open.result.close()
    indexedDB.deleteDatabase(STORE)
  }
}

async function countDevices(): Promise<PreflightFacts['devices']> {
  const { mediaDevices } = navigator as Partial<Navigator>
  const devices = mediaDevices === undefined ? null : await inTimeOr(mediaDevices.enumerateDevices(), ANSWER_PATIENCE_MS, null)
  if (devices === null) return null
  const count = (kind: MediaDeviceKind): number => devices.filter((device) => device.kind === kind).length
  return { cameras: count('videoinput'), microphones: count('audioinput') }
}

async function askPermissions(): Promise<PreflightFacts['permissions']> {
  // Not all browsers tell.
  const ask = async (name: string): Promise<PermissionState | 'unknown'> => {
    try {
      const answer = await inTimeOr(navigator.permissions.query({ name: name as PermissionName }), ANSWER_PATIENCE_MS, null)
      return answer?.state ?? 'unknown'
    } catch {
      return 'unknown'
    }
  }
  const [camera, microphone] = await Promise.all([ask('camera'), ask('microphone')])
  return { camera, microphone }
}

async function askSpace(): Promise<number | null> {
  const estimate = await inTimeOr(Promise.resolve(navigator.storage?.estimate?.()), ANSWER_PATIENCE_MS, undefined)
  return estimate?.quota === undefined ? null : estimate.quota - (estimate.usage ?? 0)
}

async function measure({ url, token }: NonNullable<PreflightOptions['ingest']>, signal?: AbortSignal): Promise<PreflightFacts['uplink']> {
  // A client of its own: it takes nothing over from one that records.
  const address = ingestUrlOf(url, crypto.randomUUID()).url
  try {
    const current = await inTime(Promise.resolve(typeof token === 'function' ? token() : token), TOKEN_PATIENCE_MS, () => new Error('there is no token: the token function did not answer'))
    return await measureByEither(address, current, signal)
  } catch (error) {
    return { failed: messageOf(error) }
  }
}

async function measureByEither(address: string, token: string, signal?: AbortSignal): Promise<PreflightFacts['uplink']> {
  const measureBy = async (transport: TransportKind): Promise<Omit<UplinkFacts, 'webSocketFailed'>> => ({ ...(await UplinkProbe.measure(transport, address, token, signal)), transport })
  try {
    return await measureBy('websocket')
  } catch (error) {
    const webSocketFailed = messageOf(error)
    try {
      return { ...(await measureBy('polling')), webSocketFailed }
    } catch (pollingError) {
      const alike = messageOf(pollingError) === webSocketFailed
      return { failed: alike ? webSocketFailed : `WebSocket: ${webSocketFailed}; HTTPS: ${messageOf(pollingError)}` }
    }
  }
}
