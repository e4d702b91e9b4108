// oxlint-disable-next-line import/no-absolute-path -- the library's own bundle, at its address
import { type Amount, type Recorder, type RecorderProgress, startRecorder, type TrackProgress } from '/pages/recorder/index.js'
import { accessFromFragment, ApiError, clock, element, size } from './access.ts'
import { forgetSession, interruptedSession, rememberSession } from './interrupted.ts'
import { ProgressTable } from './progress-table.ts'
import { recoverEarlier } from './recovery-line.ts'
import { openSession } from './session-access.ts'
import { openStreams, release } from './streams.ts'

type PageState = 'idle' | 'starting' | 'recording' | 'stopping' | 'stopped' | 'failed'

const WEBCAM_BITS_PER_SECOND = 2_000_000
const SCREEN_BITS_PER_SECOND = 1_500_000
/** A lost line is noticed late; that nothing was acknowledged for so long is said before. */
const SILENCE_MS = 5000

const key = accessFromFragment()
const state = element('state', HTMLParagraphElement)
const start = element('start', HTMLButtonElement)
const goOn = element('continue', HTMLButtonElement)
const stop = element('stop', HTMLButtonElement)
const choice = element('choice', HTMLFieldSetElement)
const webcam = element('webcam', HTMLInputElement)
const screen = element('screen', HTMLInputElement)
const elapsed = element('elapsed', HTMLSpanElement)
const notes = element('notes', HTMLUListElement)
const watch = element('watch', HTMLAnchorElement)
const watchLine = element('watch-line', HTMLParagraphElement)
const preview = element('preview', HTMLVideoElement)
const table = new ProgressTable(element('tracks', HTMLTableSectionElement))
let endCurrent = (): void => undefined

function show(name: PageState, words: string, mood: 'ok' | 'warn' | 'live' | '' = ''): void {
  state.dataset['state'] = name
  state.className = `state ${mood}`
  // Said again only when it changed: screen readers read every change aloud.
  if (state.textContent !== words) state.textContent = words
  const busy = name === 'starting' || name === 'recording' || name === 'stopping'
  start.disabled = busy || key === null || !(webcam.checked || screen.checked)
  choice.disabled = busy
  goOn.disabled = start.disabled
  goOn.hidden = busy || interruptedSession() === null
  stop.disabled = name !== 'recording'
}

function note(words: string): void {
  const item = document.createElement('li')
  item.textContent = words
  notes.append(item)
}

/** @param interrupted a session to go on with */
async function begin(access: string, interrupted?: string): Promise<void> {
  notes.replaceChildren()
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
  const session = await openSession(access, interrupted)
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
    tracks: Object.fromEntries(
      Object.entries(streams).map(([name, stream]) => [
        name,
        { stream, videoBitsPerSecond: name === 'screen' ? SCREEN_BITS_PER_SECOND : WEBCAM_BITS_PER_SECOND, audioBitsPerSecond: 64_000 },
      ]),
    ),
  })
  watch.href = `${session.watch.url}#token=${session.watch.token}`
  watchLine.hidden = false
  state.dataset['session'] = session.id
  rememberSession(session.id)
  return recorder
}

function follow(recorder: Recorder, streams: Record<string, MediaStream>): void {
  const startedAt = Date.now()
  let acknowledged = 0
  let acknowledgedAt = startedAt
  const refresh = (): void => {
    const { progress } = recorder
    const before = acknowledged
    acknowledged = sumOf(progress, 'acknowledged', 'chunks')
    if (acknowledged !== before || sumOf(progress, 'waiting', 'chunks') === 0) acknowledgedAt = Date.now()
    table.show(progress)
    showRecorder(recorder, Date.now() - acknowledgedAt > SILENCE_MS)
    if (recorder.state.phase !== 'recording') showPreview(null)
  }
  const tick = setInterval(() => {
    if (recorder.state.phase === 'recording') elapsed.textContent = clock(Date.now() - startedAt)
    refresh()
  }, 1000)
  elapsed.textContent = clock(0)
  showPreview(streams['webcam'] ?? null)
  element('progress', HTMLTableElement).hidden = false
  recorder.on('progress', refresh)
  recorder.on('state', ({ phase }) => {
    if (phase === 'failed' || phase === 'stopped') clearInterval(tick)
    refresh()
  })
  recorder.on('error', (error) => {
    if (error.code !== 'deleted') return note(error.message)
    forgetSession()
    // The server's refusal, said before, is about the same.
    notes.replaceChildren()
    note('The recording was deleted on the server: nothing of it is kept')
  })
  recorder.on('track-ended', ({ track }) => {
    const stream = streams[track]
    if (stream !== undefined) release(stream)
    if (track === 'webcam') showPreview(null)
    if (recorder.state.phase === 'recording') note(`${track} has ended: it is no longer recorded`)
  })
  endCurrent = () => void end(recorder)
  refresh()
}

async function end(recorder: Recorder): Promise<void> {
  forgetSession()
  // Why it failed is said by the recorder's own `error` event.
  await recorder.stop().catch(() => showRecorder(recorder, false))
}

/** @param silent whether chunks wait and none was acknowledged for a while */
function showRecorder({ state: { phase, connection }, progress }: Recorder, silent: boolean): void {
  const waiting = sumOf(progress, 'waiting', 'bytes')
  const lost = sumOf(progress, 'lost', 'chunks')
  state.dataset['connection'] = connection
  switch (phase) {
    case 'recording':
      if (connection === 'connected' && !silent) return show('recording', 'Recording', 'live')
      if (connection === 'connected') return show('recording', 'Recording · the server does not answer just now, but it is safe: kept on this computer', 'warn')
      return show('recording', 'Recording · no connection, but safe: it is kept on this computer', 'warn')
    case 'stopping':
      if (connection === 'connected' && !silent) return show('stopping', `Stopped recording · sending what is left (${size(waiting)}): leave this page open`)
      return show('stopping', `Stopped recording · no connection: ${size(waiting)} are kept on this computer, leave this page open`, 'warn')
    case 'stopped':
      if (lost === 0) return show('stopped', 'All safe: you may close this page', 'ok')
      return show('stopped', `All that could be saved is safe; ${lost === 1 ? 'one chunk is' : `${lost} chunks are`} lost`, 'warn')
    case 'failed':
      return show('failed', 'Recording has ended, see below', 'warn')
    default:
      return phase satisfies never
  }
}

function sumOf(progress: RecorderProgress, column: keyof TrackProgress, unit: keyof Amount): number {
  return Object.values(progress).reduce((sum, track) => sum + track[column][unit], 0)
}

function wordsOf(error: unknown): string {
  if (error instanceof DOMException && error.name === 'NotAllowedError') return 'The browser was not allowed to record: allow it and press Start again'
  if (error instanceof DOMException && error.name === 'NotFoundError') return 'There is no camera or no microphone: connect both, or record the screen alone'
  if (error instanceof DOMException && error.name === 'NotReadableError') return 'Something else uses the camera or microphone: end that and press Start again'
  if (error instanceof ApiError && error.status === 401) return 'The key in the address of this page is not (or no longer) the right one: open the address that npm start printed'
  if (error instanceof TypeError) return 'No connection to the server: press Start again'
  return error instanceof Error ? error.message : String(error)
}

function invite(): void {
  if (key === null) show('failed', 'This page needs the local key in its address: open the one that npm start printed, /record#key=…', 'warn')
  else if (webcam.checked || screen.checked) show('idle', 'Choose what to record, then press Start.')
  else show('idle', 'Choose at least one.')
}

stop.addEventListener('click', () => endCurrent())
for (const button of [start, goOn]) {
  button.addEventListener('click', () => {
    const interrupted = button === goOn ? interruptedSession() : null
    if (key !== null) begin(key, interrupted ?? undefined).catch((error: unknown) => show('failed', wordsOf(error), 'warn'))
  })
}
choice.addEventListener('change', invite)
// Another key differs only behind the #, which alone loads nothing.
addEventListener('hashchange', () => {
  if (stop.disabled) location.reload()
})
// Nobody else can go on with this recording: the browser asks before the page is left.
addEventListener('beforeunload', (event) => {
  if (state.dataset['state'] === 'recording' || state.dataset['state'] === 'stopping') event.preventDefault()
})
invite()
if (key !== null) void recoverEarlier(key)
