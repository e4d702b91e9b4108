import type { PlannedTrack, PreflightFacts, PreflightOptions, PreflightResult, TransportKind, UplinkFacts } from '../api.ts'
import { ingestUrlOf } from '../upload/ingest-url.ts'
import { chooseMimeType, kindsOf, type Kinds } from '../capture/media-type.ts'
import { judgePreflight } from './preflight-judgement.ts'
import { DEFAULT_BITRATES } from '../capture/track-options.ts'
import { untilAborted } from '../until-aborted.ts'
import { UplinkProbe } from './uplink-probe.ts'

const STORE = 'longtake-preflight'

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
  const looks = Promise.all([isStoreUsable(), countDevices(), askPermissions(), askSpace(), measured])
  const [store, devices, permissions, availableBytes, uplink] = await untilAborted(looks, signal)
  return judgePreflight({
    secureContext: isSecureContext,
    mediaRecorder,
    store,
    mimeTypes: Object.fromEntries(planned.map(([name, track]) => [name, mediaRecorder ? (chooseMimeType(kindsOfPlan(track), (type) => MediaRecorder.isTypeSupported(type)) ?? null) : null])),
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

/** Whether something can be written: private windows of some browsers only look as if. */
async function isStoreUsable(): Promise<boolean> {
  try {
    const open = indexedDB.open(STORE)
    open.addEventListener('upgradeneeded', () => open.result.createObjectStore('probe'))
    await settled(open)
    await settled(open.result.transaction('probe', 'readwrite').objectStore('probe').put(new ArrayBuffer(1), 'probe'))
    open.result.close()
    indexedDB.deleteDatabase(STORE)
    return true
  } catch {
    return false
  }
}

function settled(request: IDBRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve())
    request.addEventListener('error', () => reject(request.error ?? new Error('refused')))
  })
}

async function countDevices(): Promise<PreflightFacts['devices']> {
  const devices = await navigator.mediaDevices?.enumerateDevices().catch(() => undefined)
  if (devices === undefined) return null
  const count = (kind: MediaDeviceKind): number => devices.filter((device) => device.kind === kind).length
  return { cameras: count('videoinput'), microphones: count('audioinput') }
}

async function askPermissions(): Promise<PreflightFacts['permissions']> {
  // Not all browsers tell.
  const ask = async (name: string): Promise<PermissionState | 'unknown'> => {
    try {
      return (await navigator.permissions.query({ name: name as PermissionName })).state
    } catch {
      return 'unknown'
    }
  }
  const [camera, microphone] = await Promise.all([ask('camera'), ask('microphone')])
  return { camera, microphone }
}

async function askSpace(): Promise<number | null> {
  const estimate = await navigator.storage?.estimate?.().catch(() => undefined)
  return estimate?.quota === undefined ? null : estimate.quota - (estimate.usage ?? 0)
}

async function measure({ url, token }: NonNullable<PreflightOptions['ingest']>, signal?: AbortSignal): Promise<PreflightFacts['uplink']> {
  // A client of its own: it takes nothing over from one that records.
  const address = ingestUrlOf(url, crypto.randomUUID()).url
  const measureBy = async (transport: TransportKind): Promise<Omit<UplinkFacts, 'webSocketFailed'>> =>
    ({ ...(await UplinkProbe.measure(transport, address, typeof token === 'function' ? await token() : token, signal)), transport })
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

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
