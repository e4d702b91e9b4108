/** What users of the library see; nothing here depends on anything else, so that its types stand alone. */

export interface RecorderOptions {
  ingest: {
    /** `ingest.url` as the query service gave it: `wss://…/v1/ingest/{session}`. */
    url: string
    /** `ingest.token`, or a function that gets one. The function is asked before every connection, so expired tokens renew themselves. */
    token: string | (() => string | Promise<string>)
    /** `ingest.spoolKey`: what is kept on this computer is encrypted with it. It stays in memory only. */
    spoolKey: string
  }
  /** By name: `webcam`, `screen`, or any `[a-z0-9-]{1,32}`. May be empty; `addTrack` adds more. */
  tracks: Record<string, TrackOptions>
  /** Lets the browser ask before the page is left while something is recorded or unsent; default true. */
  warnBeforeLeaving?: boolean
  /** Aborted while the recorder starts, nothing is recorded and `startRecorder` rejects with its reason; aborted later it does what `stop` does. */
  signal?: AbortSignal
}

export type VideoCodec = 'vp8' | 'vp9' | 'av1' | 'h264'

export interface TrackOptions {
  /** Stays yours: the recorder never stops its tracks. */
  stream: MediaStream
  /**
   * Taken where the browser encodes it; default `vp9`, then `vp8`, then what the browser has. Browsers of WebKit (Safari, and all on iOS)
   * always record MP4 of H.264, since they cannot seek in WebM.
   */
  videoCodec?: VideoCodec
  /** Milliseconds between keyframes, 250 to 60,000; default 2000. Seeking goes to keyframes. Browsers that cannot be asked have their own. */
  keyFrameIntervalMs?: number
  /** Milliseconds of a chunk, 250 to 4000; default 1000. As much as that may be lost when the page crashes; shorter ones cost requests. */
  chunkMs?: number
  /** Bits per second; default 2,500,000. */
  videoBitsPerSecond?: number
  /** Bits per second; default 64,000. */
  audioBitsPerSecond?: number
}

export interface EndOptions {
  /**
   * Bounds the wait for the network, as `AbortSignal.timeout(60_000)` does: aborted, the promise rejects with the signal's reason. Recording has ended
   * in any case. Sending goes on as long as the page lives, and a further call waits for it again; what is left then is `recoverPending`'s.
   */
  signal?: AbortSignal
}

/**
 * - `recording` and `stopping` (no more is recorded, what waits is still sent)
 * - `stopped`: everything is durable
 * - `discarded`: by `discard`
 * - `failed`: nothing can be sent any more; the `error` event said why
 */
export type RecorderPhase = 'recording' | 'stopping' | 'stopped' | 'discarded' | 'failed'
/** `offline`: waiting until the next try. */
export type ConnectionState = 'connecting' | 'connected' | 'offline'

/** `stalled`: no data comes of it. `ended`: nothing of it is recorded any more, until `addTrack` or `replaceStream` gives it a stream. */
export type TrackState = 'recording' | 'paused' | 'stalled' | 'ended'

/** `polling`: ordinary HTTPS requests, where the network blocks WebSockets. */
export type TransportKind = 'websocket' | 'polling'

export interface RecorderState {
  phase: RecorderPhase
  connection: ConnectionState
  /** Null while not connected. */
  transport: TransportKind | null
}

/**
 * - `offline`: the computer has no network
 * - `unreachable`: nothing answers at the gateway's address. Browsers do not tell apart a wrong address, a server that is down, a firewall, a certificate that they reject, and a page whose policy (`connect-src`) forbids it
 * - `blocked`: something else answers in the gateway's place, such as a proxy
 * - `websocket-blocked`: the gateway answers HTTPS requests, but no WebSocket opens: the recorder goes over to polling
 * - `token-refused`: the gateway accepts the token no longer, or not for this session
 * - `no-token`: the `token` function failed, or did not answer
 * - `protocol-refused`: the gateway ended the connection for what was sent
 * - `overloaded`, `restarting`: the gateway asks to come back later
 */
export type ConnectionFailureReason =
  | 'offline'
  | 'unreachable'
  | 'blocked'
  | 'websocket-blocked'
  | 'token-refused'
  | 'no-token'
  | 'protocol-refused'
  | 'overloaded'
  | 'restarting'

export interface ConnectionFailure {
  reason: ConnectionFailureReason
  /** Until the next attempt; 0 where that has begun. */
  retryInMs: number
}

export interface Amount {
  chunks: number
  bytes: number
}

export interface TrackProgress {
  /** All that was made so far: acknowledged + waiting + lost. */
  recorded: Amount
  /** Sent at least once. */
  sent: Amount
  /** Durable on the server, and no longer kept here. */
  acknowledged: Amount
  /** Kept here until the server acknowledges it. */
  waiting: Amount
  /** Given up for good: refused by the server twice, or this device had no space for it. */
  lost: Amount
}

/** By track. */
export type RecorderProgress = Record<string, TrackProgress>

/** Nothing of a track is recorded any more: by `stop`, because all its sources ended (a device was unplugged, a screen is no longer shared), or because its `MediaRecorder` failed again and again. */
export interface TrackEnded {
  track: string
}

/**
 * What a person wants to know:
 * - `recording`, `paused`
 * - `stalled`: recording goes on, but no data comes of any track: a device is switched off, or used by another program
 * - `nothing`: every track has ended, and recording has not been stopped
 * - `offline`: the server is out of reach; everything is kept on this computer
 * - `catching-up`: what had to wait is being sent
 * - `safe`: all of it is durable, the page may close; `safe-with-losses`: so is all that could be saved
 * - `discarded`: what was not durable is gone
 * - `failed`: the `error` event said why
 */
export type SituationKind = 'recording' | 'paused' | 'stalled' | 'nothing' | 'offline' | 'catching-up' | 'safe' | 'safe-with-losses' | 'discarded' | 'failed'

export interface Situation {
  kind: SituationKind
  /** The same in plain English, to be shown as it is. */
  words: string
  /** Whether anything is being recorded. */
  recording: boolean
  /** Whole minutes that only this computer has. */
  keptMinutes: number
  /** How much of what had to wait is durable; null while nothing had to. */
  percent: number | null
  lostChunks: number
}

export interface StorageLeft {
  /**
   * At most so many whole minutes of recording fit on this computer, at the rate of the last minute. An upper bound: browsers state what they allow
   * a site, which may be more than the disk has left. Needed only while the server is out of reach.
   */
  minutes: number
  /** Upper bound as well: quota minus usage, as `navigator.storage.estimate()` states them. */
  availableBytes: number
}

/** What the server is told, too: something happened to the recording. */
export interface Report {
  /** paused, resumed, hidden, visible, frozen, slept, device-lost, muted, unmuted, quota, store-failed, source-changed, recorder-failed, page-closed, discarded, bitrate-lowered, bitrate-raised, stalled, recovered, silent, audible */
  event: string
  track?: string
  /** More about it, for people. */
  detail?: string
  /** Milliseconds since the epoch by this device's clock. */
  at: number
}

export interface PreflightOptions {
  /** As for the recorder; without it the line is not measured. */
  ingest?: Pick<RecorderOptions['ingest'], 'url' | 'token'>
  tracks: Record<string, PlannedTrack>
  /** Aborted, `preflight` rejects with its reason. */
  signal?: AbortSignal
}

export interface PlannedTrack {
  source: 'camera' | 'screen'
  /** Whether a camera comes with a microphone; default true. */
  audio?: boolean
  /** If it is open already: then what it has is looked at. */
  stream?: MediaStream
  videoCodec?: VideoCodec
  videoBitsPerSecond?: number
  audioBitsPerSecond?: number
}

export type PreflightVerdict = 'ok' | 'warn' | 'fail'

export interface PreflightPoint {
  point: 'browser' | 'format' | 'devices' | 'permissions' | 'storage' | 'screen' | 'uplink' | 'transport' | 'clock'
  verdict: PreflightVerdict
  /** A sentence for people, without a full stop. */
  words: string
}

export interface PreflightResult {
  /** The worst of all points. */
  verdict: PreflightVerdict
  /** Of what was looked at. */
  points: PreflightPoint[]
  facts: PreflightFacts
}

/** What `preflight` found; null stands for what the browser does not tell, or was not looked at. */
export interface PreflightFacts {
  secureContext: boolean
  mediaRecorder: boolean
  /** Whether IndexedDB keeps something. */
  store: boolean
  /** Why it does not: it refused, did not answer within some seconds, or the disk is full. Null where it does. */
  storeFault: 'refused' | 'silent' | 'full' | null
  /**
   * Whether what is stored outlives the window. `false`: a private window of Firefox or Safari. `true`: the browser has granted persistent storage, which
   * it does in no private window. `unknown`: an ordinary window, or a private one of a browser that does not let pages find out, such as Chrome.
   */
  storageLasts: boolean | 'unknown'
  /** By track: what would be recorded. */
  mimeTypes: Record<string, string | null>
  wants: { camera: boolean; microphone: boolean }
  devices: { cameras: number; microphones: number } | null
  permissions: Record<'camera' | 'microphone', 'granted' | 'prompt' | 'denied' | 'unknown'>
  /** Upper bound, see `StorageLeft`. */
  availableBytes: number | null
  /** What is to be recorded, all tracks together. */
  bitsPerSecond: number
  /** Of tracks whose stream is a shared screen: `monitor`, `window` or `browser` (a tab). */
  surfaces: Record<string, string>
  /**
   * `clockDifferenceMs`: how far the server's clock is ahead. `bitsPerSecond` is null where the line is too slow to tell, and
   * measured by the transport that works: `webSocketFailed` is why it is not a WebSocket. `failed`: neither works.
   */
  uplink: UplinkFacts | { failed: string } | null
}

export interface UplinkFacts {
  roundTripMs: number
  bitsPerSecond: number | null
  clockDifferenceMs: number
  transport: TransportKind
  webSocketFailed?: string
}

export interface RecorderEvents {
  /** At most five times a second. */
  progress: RecorderProgress
  state: RecorderState
  /** When its reason changes, and once a minute while it lasts. Nothing is lost: what is recorded is kept on this computer. */
  'connection-failed': ConnectionFailure
  /** At each change of it, at most once a second while it only counts on. */
  situation: Situation
  /** Every 15 seconds while recording. */
  storage: StorageLeft
  'track-ended': TrackEnded
  report: Report
  error: RecorderError
}

/** What a page that is gone left on this computer. */
export interface PendingRecording {
  session: string
  /** Of the page's recorder. */
  client: string
  /** As `ingest.url` was then. */
  ingestUrl: string
  /** When that recorder started: milliseconds since the epoch by this device's clock. */
  startedAt: number
  /** Whether `stop` had been called. If not, the recording was interrupted and may go on. */
  stopped: boolean
}

export interface RecoveryAccess extends Omit<RecorderOptions['ingest'], 'url'> {
  /** If the gateway has another address now. */
  url?: string
  /** Whether the session shall end with what is uploaded here, also where its recorder was not stopped before its page died. Default false. */
  finish?: boolean
}

export interface RecoveryOptions {
  /**
   * Gets what opens a session, best from your backend. `null`: it stays here for another time; `discard`: the session
   * is deleted, or nobody can open it any more, so what is left of it is removed. Asked again when it fails.
   */
  access(pending: PendingRecording): RecoveryAccess | 'discard' | null | Promise<RecoveryAccess | 'discard' | null>
  /** At most five times a second and recorder. What was safe before that page died is not counted. */
  onProgress?(progress: RecoveryProgress): void
  onError?(error: RecorderError, pending: PendingRecording): void
  /** Ends all of it; what is not uploaded stays for another time. */
  signal?: AbortSignal
}

export interface RecoveryProgress extends PendingRecording {
  tracks: RecorderProgress
}

/**
 * - `uploaded`: all that was left is durable on the server, and no longer here
 * - `skipped`: `access` gave null
 * - `discarded`: the session is deleted, or `access` said so; nothing is left here
 * - `wrong-key`: `access` gave a key that does not open it; it stays
 * - `taken-over`: it is being recovered elsewhere, too, from a copy of this browser's store; it stays
 * - `stopped`: by the signal; the rest stays
 * - `failed`: the browser's store, or `access`, did not do what it should; the rest stays
 */
export type RecoveryOutcome = 'uploaded' | 'skipped' | 'discarded' | 'wrong-key' | 'taken-over' | 'stopped' | 'failed'

export interface RecoveryReport extends RecoveryProgress {
  outcome: RecoveryOutcome
}

/** With what they mean. Scripts for pages without a bundler leave it out, and nothing here uses it, since its sentences are long. */
export const RECORDER_ERROR_CODES = {
  'invalid-options': { retryable: false, means: 'the options are wrong; the message says which' },
  'unsupported-browser': { retryable: false, means: 'no MediaRecorder, IndexedDB, WebCrypto or Web Locks here; the latter three want a secure context' },
  'already-recording': { retryable: false, means: 'another tab of this browser, or another recorder of this page, records that track of the session' },
  'unsupported-media': { retryable: false, means: 'the browser can record the stream in no format that Longtake takes' },
  'capture-failed': { retryable: false, means: 'a MediaRecorder failed, and so did the next ones; what they gave until then is kept and sent' },
  'spool-failed': { retryable: true, means: 'the browser store did not do what it should; a chunk that it could not keep is declared lost' },
  'token-failed': { retryable: true, means: 'the token function failed; it is asked again' },
  'wrong-key': { retryable: false, means: 'the spool key is not the one with which a recording was kept: it stays on this computer' },
  refused: { retryable: true, means: "the server refused something and closed; the message begins with the server's own code" },
  discarded: { retryable: false, means: 'discard was called: what the server did not have is gone' },
  deleted: { retryable: false, means: 'the session was deleted: recording ended and the spool was cleared' },
} as const
export type RecorderErrorCode = keyof typeof RECORDER_ERROR_CODES
/** As in `RECORDER_ERROR_CODES`. */
const RETRYABLE_CODES: readonly RecorderErrorCode[] = ['spool-failed', 'token-failed', 'refused']

export class RecorderError extends Error {
  readonly code: RecorderErrorCode

  constructor(code: RecorderErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'RecorderError'
    this.code = code
  }

  /** Whether the recorder goes on by itself. */
  get retryable(): boolean {
    return RETRYABLE_CODES.includes(this.code)
  }
}
