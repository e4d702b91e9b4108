import type { PreflightFacts, PreflightPoint, PreflightResult, PreflightVerdict } from '../api.ts'
import { LITTLE_MINUTES, minutesOf } from '../capture/storage-forecast.ts'

/** Below this share of what is to be recorded the line is of no use. */
const HOPELESS_SHARE = 0.25
/** A line must carry more than what is recorded, or nothing that had to wait would ever be caught up. */
const COMFORTABLE_SHARE = 1.3
const CLOCK_TOLERANCE_MS = 60_000

type Judgement = Omit<PreflightPoint, 'point'>

/** What to say of the facts. A point that was not looked at is left out. */
export function judgePreflight(facts: PreflightFacts): PreflightResult {
  const judged: [PreflightPoint['point'], Judgement | null][] = [
    ['browser', judgeBrowser(facts)],
    ['format', judgeFormat(facts)],
    ['devices', judgeDevices(facts)],
    ['permissions', judgePermissions(facts)],
    ['storage', judgeStorage(facts)],
    ['screen', judgeScreen(facts)],
    ['uplink', judgeUplink(facts)],
    ['transport', judgeTransport(facts)],
    ['clock', judgeClock(facts)],
  ]
  const points = judged.flatMap(([point, judgement]) => (judgement === null ? [] : [{ point, ...judgement }]))
  const worst = (['fail', 'warn'] as const).find((verdict) => points.some((point) => point.verdict === verdict))
  return { verdict: worst ?? 'ok', points, facts }
}

function judgeBrowser({ secureContext, mediaRecorder, store, storeFault }: PreflightFacts): Judgement {
  if (!secureContext) return fail('This page was not opened by https: the browser does not let it record')
  if (!mediaRecorder) return fail('This browser cannot record: use a current Chrome, Edge, Firefox or Safari')
  if (!store && storeFault === 'silent') return fail("This browser's storage does not answer: restart the browser")
  if (!store && storeFault === 'full') return fail('This computer has no space for the recording: free some')
  if (!store) return fail('This browser keeps nothing for this page: leave the private window, or allow site data')
  return ok('This browser can record, and can keep what is recorded')
}

function judgeFormat({ mimeTypes }: PreflightFacts): Judgement {
  const impossible = Object.entries(mimeTypes).filter(([, mimeType]) => mimeType === null)
  if (impossible.length > 0) return fail(`This browser has no format for ${impossible.map(([track]) => track).join(' and ')}`)
  return ok(Object.entries(mimeTypes).map(([track, mimeType]) => `${track}: ${mimeType}`).join(', '))
}

function judgeDevices({ wants, devices }: PreflightFacts): Judgement | null {
  if (devices === null || !(wants.camera || wants.microphone)) return null
  const missing = [...(wants.camera && devices.cameras === 0 ? ['camera'] : []), ...(wants.microphone && devices.microphones === 0 ? ['microphone'] : [])]
  if (missing.length > 0) return fail(`There is no ${missing.join(' and no ')}: connect one`)
  const found = [...(wants.camera ? ['camera'] : []), ...(wants.microphone ? ['microphone'] : [])].join(' and ')
  return ok(`A ${found} ${found.includes('and') ? 'are' : 'is'} there`)
}

function judgePermissions({ wants, permissions }: PreflightFacts): Judgement | null {
  const asked = (['camera', 'microphone'] as const).filter((device) => wants[device])
  if (asked.length === 0) return null
  const withState = (state: string): string => asked.filter((device) => permissions[device] === state).join(' and ')
  if (withState('denied') !== '') return fail(`The browser blocks the ${withState('denied')} for this page: allow it at the address bar`)
  if (withState('granted') === asked.join(' and ')) return ok(`The ${withState('granted')} may be used`)
  return ok(`The browser is going to ask for the ${asked.filter((device) => permissions[device] !== 'granted').join(' and ')}`)
}

function judgeStorage({ availableBytes, bitsPerSecond, storageLasts }: PreflightFacts): Judgement | null {
  const minutes = availableBytes === null ? null : minutesOf(availableBytes, bitsPerSecond / 8)
  if (minutes !== null && minutes < 1) return fail('This computer has no space for the recording: free some')
  if (storageLasts === false) return warn('This is a private window: what is not uploaded when it is closed is lost. Use an ordinary window')
  if (minutes === null) return null
  const words = `This computer has space for at most ${minutes >= 120 ? `${Math.floor(minutes / 60)} hours` : `${minutes} minutes`} without a connection`
  return minutes < LITTLE_MINUTES ? warn(`${words}: free some`) : ok(words)
}

function judgeScreen({ surfaces }: PreflightFacts): Judgement | null {
  const shared = Object.values(surfaces)
  if (shared.length === 0) return null
  const partial = shared.find((surface) => surface !== 'monitor')
  if (partial === undefined) return ok('The whole screen is shared')
  return warn(`${partial === 'browser' ? 'One browser tab' : 'One window'} is shared, not the whole screen`)
}

function judgeUplink({ uplink, bitsPerSecond }: PreflightFacts): Judgement | null {
  if (uplink === null) return null
  if ('failed' in uplink) return fail(`The server cannot be reached (${uplink.failed})`)
  const share = (uplink.bitsPerSecond ?? 0) / bitsPerSecond
  const words = uplink.bitsPerSecond === null ? 'The line is so slow that it could not be measured' : `The line carries ${mbit(uplink.bitsPerSecond)} Mbit/s; the recording takes ${mbit(bitsPerSecond)}`
  if (share < HOPELESS_SHARE) return fail(`${words}: find a better one`)
  return share < COMFORTABLE_SHARE ? warn(`${words}: part of it will be sent late, or in lower quality`) : ok(words)
}

/** Worth a word only where something is blocked. */
function judgeTransport({ uplink }: PreflightFacts): Judgement | null {
  if (uplink === null || 'failed' in uplink || uplink.webSocketFailed === undefined) return null
  return warn(`This network blocks WebSockets (${uplink.webSocketFailed}): the recording is sent by HTTPS requests instead`)
}

function judgeClock({ uplink }: PreflightFacts): Judgement | null {
  if (uplink === null || 'failed' in uplink) return null
  const ms = uplink.clockDifferenceMs
  if (Math.abs(ms) < CLOCK_TOLERANCE_MS) return ok("This computer's clock is right")
  return warn(`This computer's clock is ${Math.round(Math.abs(ms) / 60_000)} min ${ms > 0 ? 'slow' : 'fast'}; the recording gets the server's time`)
}

const judgementOf = (verdict: PreflightVerdict) => (words: string): Judgement => ({ verdict, words })
const [ok, warn, fail] = [judgementOf('ok'), judgementOf('warn'), judgementOf('fail')]
/** 2 480 000 → `2.5`; 183 000 000 → `183` */
const mbit = (bits: number): string => (bits >= 10_000_000 ? String(Math.round(bits / 1_000_000)) : (bits / 1_000_000).toFixed(1))
