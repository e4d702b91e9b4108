import type { PublicSession } from '@longtake/contracts'
import { accessFromFragment, ApiError, api, element } from './access.ts'
import { TrackPlayer } from './track-player.ts'

const LIVE_POLL_MS = 2000
/** Late data may still make a new version of what has ended. */
const CALM_POLL_MS = 10_000

const session = decodeURIComponent(location.pathname.split('/').at(-1) ?? '')
const access = accessFromFragment()
const state = element('state', HTMLParagraphElement)
const tracks = element('tracks', HTMLDivElement)
const players = new Map<string, TrackPlayer>()

type Mood = 'ok' | 'warn' | 'live' | ''

const WORDS: Record<PublicSession['status'], readonly [words: string, mood: Mood]> = {
  waiting: ['Waiting for the recording to begin', ''],
  recording: ['Recording now', 'live'],
  interrupted: ['Interrupted: the recorder is away; what has arrived can be watched', 'warn'],
  complete: ['Complete: everything that was recorded is here', 'ok'],
  'complete-with-gaps': ['Complete, except for the gaps below', 'warn'],
  abandoned: ['Abandoned: the recorder did not come back', 'warn'],
  deleted: ['This recording was deleted', ''],
}

function say(words: string, mood: Mood): void {
  state.className = `state ${mood}`
  // Said again only when it changed: screen readers read every change aloud.
  if (state.textContent !== words) state.textContent = words
}

function pollMs({ status }: PublicSession): number {
  return status === 'waiting' || status === 'recording' || status === 'interrupted' ? LIVE_POLL_MS : CALM_POLL_MS
}

function show(current: PublicSession): void {
  const [words, mood] = WORDS[current.status]
  const since = current.status === 'recording' && current.startedAt !== null ? `, since ${timeOf(current.startedAt)}` : ''
  // Only late data makes a second version.
  say(`${words}${since}${current.version > 1 ? ` · version ${current.version}` : ''}`, mood)
  for (const [name, player] of players) {
    if (current.tracks[name] !== undefined) continue
    player.remove()
    players.delete(name)
  }
  for (const [name, track] of Object.entries(current.tracks)) playerOf(name).update(track, current.status === 'recording')
}

function playerOf(name: string): TrackPlayer {
  let player = players.get(name)
  if (player === undefined) {
    player = new TrackPlayer(name, access ?? '')
    players.set(name, player)
    tracks.append(player.element)
  }
  return player
}

function timeOf(instant: string): string {
  return new Date(instant).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
}

/** What a person can do about it; `again` tells whether time may help. */
function explain(error: unknown): { words: string; again: boolean } {
  if (!(error instanceof ApiError)) return { words: 'No connection to the server; trying again …', again: true }
  switch (error.status) {
    case 401:
    case 403:
      return { words: 'This link does not open this recording (any more): ask for a new one', again: false }
    case 404:
      return { words: 'There is no such recording', again: false }
    default:
      return { words: `The server cannot answer just now (${error.code}); trying again …`, again: true }
  }
}

async function follow(): Promise<void> {
  if (access === null) return say('This page needs a watch token in its address: …#token=…', 'warn')
  for (;;) {
    let pauseMs = LIVE_POLL_MS
    try {
      const current = await api<PublicSession>(`/v1/sessions/${session}`, access)
      show(current)
      pauseMs = pollMs(current)
      if (current.status === 'deleted') return
    } catch (error) {
      const { words, again } = explain(error)
      say(words, 'warn')
      if (!again) return
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

element('session', HTMLSpanElement).textContent = session
document.title = `Longtake · watch ${session}`
// Another link to the same recording differs only behind the #, which alone loads nothing.
addEventListener('hashchange', () => location.reload())
void follow()
