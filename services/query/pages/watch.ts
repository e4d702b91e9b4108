import type { PublicSession } from '@longtake/contracts'
import { accessFromFragment, api, clock, element, size } from './access.ts'
import { TrackPlayer } from './track-player.ts'

const POLL_MS = 2000
const session = decodeURIComponent(location.pathname.split('/').at(-1) ?? '')
const access = accessFromFragment()
const state = element('state', HTMLParagraphElement)
const tracks = element('tracks', HTMLDivElement)
const players = new Map<string, TrackPlayer>()

const WORDS: Record<PublicSession['status'], string> = {
  waiting: 'Waiting for the recording to begin',
  recording: 'Recording now',
  interrupted: 'Interrupted: the recorder is away; what has arrived can be watched',
  complete: 'Complete: everything that was recorded is here',
  'complete-with-gaps': 'Complete, with the gaps listed below',
  abandoned: 'Abandoned: the recorder did not come back',
  deleted: 'Deleted',
}

function show(current: PublicSession): void {
  state.textContent = `${WORDS[current.status]}${current.version > 0 ? ` · version ${current.version}` : ''}`
  state.className = `state ${current.status === 'complete' ? 'ok' : current.status === 'complete-with-gaps' || current.status === 'interrupted' ? 'warn' : ''}`
  for (const [name, track] of Object.entries(current.tracks)) {
    let player = players.get(name)
    if (player === undefined) {
      player = new TrackPlayer(name, access ?? '')
      players.set(name, player)
      tracks.append(player.element)
    }
    player.update(track, current.status === 'recording')
    player.describe(`${clock(track.durationMs)} · ${size(track.bytes)}`, gapWords(track))
  }
}

function gapWords(track: PublicSession['tracks'][string]): string[] {
  return track.parts.flatMap((part) =>
    part.gaps.map((gap) => {
      const when = gap.startMs === null ? `chunks ${gap.from}–${gap.to}` : `${clock(gap.startMs)}–${gap.endMs === null ? '…' : clock(gap.endMs)}`
      return `${when}: ${gap.kind}${gap.cause === null ? '' : ` (${gap.cause})`}${gap.state === 'open' ? ', may still come' : ''}`
    }),
  )
}

async function follow(): Promise<void> {
  if (access === null) {
    state.textContent = 'This page needs a watch token in its address: …#token=…'
    return
  }
  for (;;) {
    try {
      const current = await api<PublicSession>(`/v1/sessions/${session}`, access)
      show(current)
    } catch (error) {
      state.textContent = String(error)
      state.className = 'state warn'
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

element('session', HTMLSpanElement).textContent = session
void follow()
