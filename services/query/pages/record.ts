import type { CreateSessionResponse } from '@longtake/contracts'
// oxlint-disable-next-line import/no-absolute-path -- the library's own bundle, at its address
import { startRecorder, type Recorder } from '/pages/recorder/index.js'
import { accessFromFragment, api, clock, element, size } from './access.ts'
import { ProgressTable } from './progress-table.ts'
import { openStreams, release } from './streams.ts'

type PageState = 'idle' | 'starting' | 'recording' | 'stopping' | 'stopped' | 'failed'

const WEBCAM_BITS_PER_SECOND = 2_000_000
const SCREEN_BITS_PER_SECOND = 1_500_000

const key = accessFromFragment()
const state = element('state', HTMLParagraphElement)
const start = element('start', HTMLButtonElement)
const stop = element('stop', HTMLButtonElement)
const choice = element('choice', HTMLFieldSetElement)
const webcam = element('webcam', HTMLInputElement)
const screen = element('screen', HTMLInputElement)
const elapsed = element('elapsed', HTMLSpanElement)
const notes = element('notes', HTMLUListElement)
const watch = element('watch', HTMLAnchorElement)
const table = new ProgressTable(element('tracks', HTMLTableSectionElement))
let endCurrent = (): void => undefined

function show(name: PageState, words: string, mood: 'ok' | 'warn' | '' = ''): void {
  state.dataset['state'] = name
  state.className = `state ${mood}`
  // Said again only when it changed: screen readers read every change aloud.
  if (state.textContent !== words) state.textContent = words
  const busy = name === 'starting' || name === 'recording' || name === 'stopping'
  start.disabled = busy || key === null
  choice.disabled = busy
  stop.disabled = name !== 'recording'
}

function note(words: string): void {
  const item = document.createElement('li')
  item.textContent = words
  notes.append(item)
}

async function begin(access: string): Promise<void> {
  notes.replaceChildren()
  table.clear()
  show('starting', 'Starting…')
  const streams = await openStreams({ webcam: webcam.checked, screen: screen.checked })
  try {
    const recorder = await record(access, streams)
    follow(recorder, streams)
  } catch (error) {
    for (const stream of Object.values(streams)) release(stream)
    throw error
  }
}

async function record(access: string, streams: Record<string, MediaStream>): Promise<Recorder> {
  const session = await createSession(access)
  let { token } = session.ingest
  let asked = false
  const recorder = await startRecorder({
    ingest: {
      url: session.ingest.url,
      token: async () => {
        // The first is fresh. Later ones too if they can be had; if not, the last may still be good.
        if (asked) token = await createSession(access, session.id).then(({ ingest }) => ingest.token, () => token)
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
  element('watch-line', HTMLParagraphElement).hidden = false
  state.dataset['session'] = session.id
  return recorder
}

function createSession(access: string, id?: string): Promise<CreateSessionResponse> {
  return api<CreateSessionResponse>('/v1/sessions', access, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(id === undefined ? {} : { id }),
  })
}

function follow(recorder: Recorder, streams: Record<string, MediaStream>): void {
  const startedAt = Date.now()
  const tick = setInterval(() => {
    elapsed.textContent = clock(Date.now() - startedAt)
  }, 1000)
  const refresh = (): void => {
    table.show(recorder.progress)
    showRecorder(recorder)
  }
  element('progress', HTMLTableElement).hidden = false
  recorder.on('progress', refresh)
  recorder.on('state', ({ phase }) => {
    if (phase === 'failed') clearInterval(tick)
    refresh()
  })
  recorder.on('error', (error) => note(error.message))
  recorder.on('track-ended', ({ track }) => {
    const stream = streams[track]
    if (stream !== undefined) release(stream)
    if (recorder.state.phase === 'recording') note(`${track} has ended`)
  })
  endCurrent = () => void end(recorder, tick)
  refresh()
}

async function end(recorder: Recorder, tick: ReturnType<typeof setInterval>): Promise<void> {
  clearInterval(tick)
  // Why it failed is said by the recorder's own `error` event.
  await recorder.stop().catch(() => showRecorder(recorder))
}

function showRecorder({ state: { phase, connection }, progress }: Recorder): void {
  const waiting = Object.values(progress).reduce((sum, track) => sum + track.waiting.bytes, 0)
  const lost = Object.values(progress).reduce((sum, track) => sum + track.lost.chunks, 0)
  state.dataset['connection'] = connection
  switch (phase) {
    case 'recording':
      if (connection === 'connected') return show('recording', 'Recording')
      return show('recording', 'Recording · no connection, but safe: it is kept on this computer', 'warn')
    case 'stopping':
      if (connection === 'connected') return show('stopping', `Stopped recording · sending what is left: ${size(waiting)}`)
      return show('stopping', `Stopped recording · no connection: ${size(waiting)} are kept on this computer, leave this page open`, 'warn')
    case 'stopped':
      if (lost === 0) return show('stopped', 'All safe: you may close this page', 'ok')
      return show('stopped', `All that could be saved is safe; ${lost} chunks are lost`, 'warn')
    case 'failed':
      return show('failed', 'Recording has ended, see below', 'warn')
    default:
      return phase satisfies never
  }
}

function wordsOf(error: unknown): string {
  if (error instanceof DOMException && error.name === 'NotAllowedError') return 'The browser was not allowed to record: allow it and press Start again'
  return error instanceof Error ? error.message : String(error)
}

stop.addEventListener('click', () => endCurrent())
start.addEventListener('click', () => {
  if (key !== null) begin(key).catch((error: unknown) => show('failed', wordsOf(error), 'warn'))
})
if (key === null) show('failed', 'This page needs the local key in its address: /record#key=…', 'warn')
else show('idle', 'Choose what to record, then press Start.')
