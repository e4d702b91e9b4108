/** `monitor`: an entire screen; `browser`: a tab; `unknown`: the browser does not say. */
export type Surface = 'monitor' | 'window' | 'browser' | 'unknown'

/** `wrong-surface`: something else than an entire screen was chosen; `unknown-surface`: the browser does not say what was. */
export type ScreenShareErrorCode = 'wrong-surface' | 'unknown-surface'

export class ScreenShareError extends Error {
  readonly code: ScreenShareErrorCode
  /** What was chosen instead. */
  readonly surface: Surface

  constructor(surface: Surface) {
    super(surface === 'unknown' ? 'this browser does not say what is shared' : `an entire screen was asked for, and a ${surface === 'browser' ? 'tab' : surface} was chosen`)
    this.name = 'ScreenShareError'
    this.code = surface === 'unknown' ? 'unknown-surface' : 'wrong-surface'
    this.surface = surface
  }
}

export interface EntireScreenOptions {
  /** Whether to ask for the system's sound, too, which not all systems have; default false. */
  audio?: boolean
  /** Accept a stream of which the browser does not say what it shows, as Firefox does; default false. */
  acceptUnknown?: boolean
}

const SURFACES: readonly string[] = ['monitor', 'window', 'browser'] satisfies Surface[]
const LOOK_EVERY_MS = 1000

/** What a shared screen shows at present. */
export function surfaceOf(stream: MediaStream): Surface {
  const surface = stream.getVideoTracks()[0]?.getSettings().displaySurface ?? ''
  return SURFACES.includes(surface) ? (surface as Surface) : 'unknown'
}

/**
 * Asks the person to share an entire screen, from a click. Browsers can be asked to offer screens first, not to offer nothing else, so what
 * was chosen is verified (Screen Capture, §5.4.4 `displaySurface`).
 * @throws ScreenShareError, and then nothing is shared any more; `NotSupportedError`; whatever `getDisplayMedia` throws, as `NotAllowedError`
 */
export async function shareEntireScreen({ audio = false, acceptUnknown = false }: EntireScreenOptions = {}): Promise<MediaStream> {
  const offer = { monitorTypeSurfaces: 'include', surfaceSwitching: 'exclude', selfBrowserSurface: 'exclude' }
  // Browsers on iOS have none.
  const sharing = (navigator.mediaDevices as Partial<MediaDevices>).getDisplayMedia?.({ video: { displaySurface: 'monitor' }, audio, ...offer })
  if (sharing === undefined) throw new DOMException('this browser shares no screens', 'NotSupportedError')
  const stream = await sharing
  const surface = surfaceOf(stream)
  if (surface === 'monitor' || (surface === 'unknown' && acceptUnknown)) return stream
  for (const track of stream.getTracks()) track.stop()
  throw new ScreenShareError(surface)
}

/**
 * Some systems let the person share something else without a new question. Calls `changed` with what is shared then; looks every second,
 * since browsers have no event for it.
 * @returns ends that; it ends by itself with the stream
 */
export function watchSurface(stream: MediaStream, changed: (surface: Surface) => void): () => void {
  let before = surfaceOf(stream)
  const look = setInterval(() => {
    if (stream.getVideoTracks().every(({ readyState }) => readyState === 'ended')) return clearInterval(look)
    const now = surfaceOf(stream)
    if (now === before) return
    before = now
    changed(now)
  }, LOOK_EVERY_MS)
  return () => clearInterval(look)
}
