import { runningContext } from './running-context.ts'

const LOOK_EVERY_MS = 1000

export interface AudioMix {
  /** One audio track. It ends when no track of the mixed streams is live any more, or by `close`. */
  stream: MediaStream
  /** Ends the mixed track. The mixed streams stay yours to stop. */
  close(): void
}

/**
 * Mixes the sound of several streams into one track, as of a microphone and of a shared screen: a `MediaRecorder` records one audio track only.
 * A stream without sound adds nothing.
 * @throws DOMException `NotAllowedError` before the person has clicked, `NotFoundError` where no stream has sound
 */
export async function mixAudio(...streams: MediaStream[]): Promise<AudioMix> {
  const tracks = streams.flatMap((stream) => stream.getAudioTracks())
  if (tracks.length === 0) throw new DOMException('none of the streams has an audio track', 'NotFoundError')
  const context = await runningContext()
  const mixed = new MediaStreamAudioDestinationNode(context)
  for (const track of tracks) new MediaStreamAudioSourceNode(context, { mediaStream: new MediaStream([track]) }).connect(mixed)
  // A phone call interrupts it on iOS, and Chrome may when the output device changes.
  const resume = (): void => void (context.state === 'closed' || context.state === 'running' || context.resume().catch(() => undefined))
  context.addEventListener('statechange', resume)
  const close = (): void => {
    clearInterval(looks)
    for (const track of mixed.stream.getTracks()) track.stop()
    if (context.state !== 'closed') void context.close()
  }
  // A mixed track of nothing would be silence for ever; and no event tells of a track that the page itself stops.
  const looks = setInterval(() => tracks.some(({ readyState }) => readyState === 'live') || close(), LOOK_EVERY_MS)
  return { stream: mixed.stream, close }
}
