import type { CreateSessionResponse } from '@longtake/contracts'
// oxlint-disable-next-line import/no-absolute-path -- the library's own bundle, at its address
import { type PlannedTrack, recordedTracks, type Recorder, type RecorderPhase, type SituationKind, startRecorder } from '/pages/recorder/index.js'
import { accessFromFragment, ApiError, clock, element, messageOf } from './access.ts'
import { Checks } from './checks.ts'
import { forgetSession, interruptedSession, rememberSession } from './interrupted.ts'
import { Notes } from './notes.ts'
import { ProgressTable } from './progress-table.ts'
import { recoverEarlier } from './recovery-line.ts'
import { openSession } from './session-access.ts'
import { openStreams, release } from './streams.ts'

type PageState = 'idle' | 'checking' | 'starting' | RecorderPhase
type Mood = 'ok' | 'warn' | 'live' | ''

const BITRATES: Record<string, number> = { webcam: 2_000_000, screen: 1_500_000 }
const AUDIO_BITS_PER_SECOND = 64_000
const LOOK_FOR_ORIGINAL_EVERY_MS = 1000
const MOODS: Record<SituationKind, Mood> = { recording: 'live', paused: '', stalled: 'warn', nothing: 'warn', offline: 'warn', 'catching-up': '', safe: 'ok', 'safe-with-losses': 'warn', discarded: '', failed: 'warn' }

const key = accessFromFragment()
const state = element('state', HTMLParagraphElement)
const start = element('start', HTMLButtonElement)
const goOn = element('continue', HTMLButtonElement)
const stop = element('stop', HTMLButtonElement)
const check = element('check', HTMLButtonElement)
const choice = element('choice', HTMLFieldSetElement)
const webcam = element('webcam', HTMLInputElement)
const screen = element('screen', HTMLInputElement)
const elapsed = element('elapsed', HTMLSpanElement)
const notes = new Notes(element('notes', HTMLUListElement))
const checks = new Checks(element('checks', HTMLUListElement))
const watch = element('watch', HTMLAnchorElement)
const watchLine = element('watch-line', HTMLParagraphElement)
const leave = element('leave', HTMLSpanElement)
const preview = element('preview', HTMLVideoElement)
const table = new ProgressTable(element('tracks', HTMLTableSectionElement))
/** Whether this tab is the copy of one that records. */
let isCopy = false
let endCurrent = (): void => undefined
/** That the line was checked with, to be recorded in. */
let checked: CreateSessionResponse | null = null

function show(name: PageState, words: string, mood: Mood = ''): void {
  state.dataset['state'] = name
  state.className = `state ${mood}`
  // Said again only when it changed: screen readers read every change aloud.
  if (state.textContent !== words) state.textContent = words
  const busy = name === 'checking' || name === 'starting' || name === 'recording' || name === 'stopping'
  start.disabled = busy || key === null || !(webcam.checked || screen.checked)
  check.disabled = start.disabled
  choice.disabled = busy
  goOn.disabled = start.disabled
  goOn.hidden = busy || isCopy || interruptedSession() === null
  stop.disabled = name !== 'recording'
  leave.hidden = name === 'stopped'
}

function planned(): Record<string, PlannedTrack> {
  return {
    ...(webcam.checked ? { webcam: { source: 'camera', ...bitratesOf('webcam') } } : {}),
    ...(screen.checked ? { screen: { source: 'screen', ...bitratesOf('screen') } } : {}),
  }
}

function bitratesOf(track: string): { videoBitsPerSecond: number; audioBitsPerSecond: number } {
  return { videoBitsPerSecond: BITRATES[track] ?? BITRATES['webcam']!, audioBitsPerSecond: AUDIO_BITS_PER_SECOND }
}

async function checkLine(access: string): Promise<void> {
  show('checking', 'Checking this computer and the line: that takes three seconds')
  checked ??= await openSession(access)
  await checks.run({ ingest: checked.ingest, tracks: planned() })
  invite()
}

/** @param interrupted a session to go on with */
async function begin(access: string, interrupted?: string): Promise<void> {
  notes.clear()
  checks.clear()
  table.clear()
  element('progress', HTMLTableElement).hidden = true
  watchLine.hidden = true
  elapsed.textContent = ''
  show('starting', 'Starting: the browser may ask you what it is allowed to record')
  const streams = await openStreams({ webcam: webcam.checked, screen: screen.checked })
  try {
    const recorder = await record(access, streams, interrupted)
    follow(recorder, streams)
  } catch (error) {
    for (const stream of Object.values(streams)) release(stream)
    throw error
  }
}

function showPreview(stream: MediaStream | null): void {
  preview.srcObject = stream
  preview.hidden = stream === null
}

async function record(access: string, streams: Record<string, MediaStream>, interrupted?: string): Promise<Recorder> {
  const session = interrupted === undefined && checked !== null ? checked : await openSession(access, interrupted)
  checked = null
  let { token } = session.ingest
  let asked = false
  const recorder = await startRecorder({
    ingest: {
      ...session.ingest,
      token: async () => {
        // The first is fresh. Later ones too if they can be had; if not, the last may still be good.
        if (asked) token = await openSession(access, session.id).then(({ ingest }) => ingest.token, () => token)
        asked = true
        return token
      },
    },
    tracks: Object.fromEntries(Object.entries(streams).map(([name, stream]) => [name, { stream, ...bitratesOf(name) }])),
  })
  offerToWatch(session)
  state.dataset['session'] = session.id
  rememberSession(session.id)
  return recorder
}

function offerToWatch({ watch: { url, token } }: CreateSessionResponse): void {
  watch.href = `${url}#token=${token}`
  watchLine.hidden = false
}

/** A browser that was killed has forgotten what its tabs recorded: what it had left tells. */
async function recover(access: string): Promise<void> {
  const interrupted = await recoverEarlier(access)
  if (interrupted === null || state.dataset['state'] !== 'idle') return
  if (interruptedSession() === null) rememberSession(interrupted)
  invite()
  const session = await openSession(access, interrupted)
  if (state.dataset['state'] === 'idle') offerToWatch(session)
}

function follow(recorder: Recorder, streams: Record<string, MediaStream>): void {
  const startedAt = Date.now()
  const refresh = (): void => {
    table.show(recorder.progress)
    showRecorder(recorder)
    if (recorder.state.phase !== 'recording') showPreview(null)
  }
  const tick = setInterval(() => {
    if (recorder.state.phase === 'recording') elapsed.textContent = clock(Date.now() - startedAt)
  }, 1000)
  elapsed.textContent = clock(0)
  showPreview(streams['webcam'] ?? null)
  element('progress', HTMLTableElement).hidden = false
  recorder.on('progress', refresh)
  recorder.on('situation', refresh)
  recorder.on('state', ({ phase }) => {
    if (phase === 'failed' || phase === 'stopped') clearInterval(tick)
    if (phase !== 'recording') notes.recordingEnded()
    refresh()
  })
  recorder.on('report', (report) => notes.report(report, (track) => void recordAgain(recorder, streams, track)))
  recorder.on('storage', (left) => notes.storage(left))
  recorder.on('error', (error) => {
    if (error.code !== 'deleted') return notes.show(`error ${error.code}`, error.message)
    forgetSession()
    // The server's refusal, said before, is about the same.
    notes.clear()
  })
  recorder.on('track-ended', ({ track }) => {
    const stream = streams[track]
    if (stream !== undefined) release(stream)
    if (track === 'webcam') showPreview(null)
  })
  endCurrent = () => void end(recorder)
  refresh()
}

async function end(recorder: Recorder): Promise<void> {
  forgetSession()
  // Why it failed is said by the recorder's own `error` event.
  await recorder.stop().catch(() => showRecorder(recorder))
}

/** Opens the sources of a track anew, which is its next part. */
async function recordAgain(recorder: Recorder, streams: Record<string, MediaStream>, track: string): Promise<void> {
  try {
    const { [track]: stream } = await openStreams({ webcam: track === 'webcam', screen: track === 'screen' })
    if (stream === undefined) return
    await recorder.replaceStream(track, { stream })
    if (streams[track] !== undefined) release(streams[track])
    streams[track] = stream
    if (track === 'webcam') showPreview(stream)
    notes.drop(`lost ${track}`)
  } catch (error) {
    notes.show(`again ${track}`, wordsOf(error))
  }
}

function showRecorder({ state: { phase, connection, transport }, situation: { kind, words } }: Recorder): void {
  state.dataset['connection'] = connection
  state.dataset['transport'] = transport ?? ''
  state.dataset['situation'] = kind
  show(phase, words, MOODS[kind])
}

function wordsOf(error: unknown): string {
  if (error instanceof DOMException && error.name === 'NotAllowedError') return 'The browser was not allowed to record: allow it and press Start again'
  if (error instanceof DOMException && error.name === 'NotFoundError') return 'There is no camera or no microphone: connect both, or record the screen alone'
  if (error instanceof DOMException && error.name === 'NotReadableError') return 'Something else uses the camera or microphone: end that and press Start again'
  if (error instanceof ApiError && error.status === 401) return 'The key in the address of this page is not (or no longer) the right one: open the address that npm start printed'
  if (error instanceof TypeError) return 'No connection to the server: press Start again'
  return messageOf(error)
}

function invite(): void {
  if (key === null) show('failed', 'This page needs the local key in its address: open the one that npm start printed, /record#key=…', 'warn')
  else if (isCopy) show('idle', 'This tab is a copy of one that is recording. Press Start to make a separate recording here.')
  else if (interruptedSession() !== null && (webcam.checked || screen.checked)) show('idle', 'A recording was interrupted here: resume it, or press Start for a new one.')
  else if (webcam.checked || screen.checked) show('idle', 'Choose what to record, then press Start.')
  else show('idle', 'Choose at least one.')
}

/** A duplicated tab has a copy of the session storage; it can resume the recording once the original is closed. */
async function lookForOriginal(): Promise<void> {
  const session = interruptedSession()
  const isRecorded = session !== null && (await recordedTracks(session)).length > 0
  const isIdle = state.dataset['state'] === 'idle'
  if (isIdle && isRecorded !== isCopy) {
    isCopy = isRecorded
    invite()
  }
  setTimeout(() => void lookForOriginal().catch(reportError), LOOK_FOR_ORIGINAL_EVERY_MS)
}

function look(): void {
  invite()
  if (key !== null) checks.run({ tracks: planned() }).catch(reportError)
}

stop.addEventListener('click', () => endCurrent())
for (const button of [start, goOn]) {
  button.addEventListener('click', () => {
    const interrupted = button === goOn ? interruptedSession() : null
    if (key !== null) begin(key, interrupted ?? undefined).catch((error: unknown) => show('failed', wordsOf(error), 'warn'))
  })
}
check.addEventListener('click', () => {
  if (key !== null) checkLine(key).catch((error: unknown) => show('failed', wordsOf(error), 'warn'))
})
choice.addEventListener('change', look)
// Another key differs only behind the #, which alone loads nothing.
addEventListener('hashchange', () => {
  if (stop.disabled) location.reload()
})
look()
lookForOriginal().catch(reportError)
if (key !== null) recover(key).catch(reportError)
