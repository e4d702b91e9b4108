import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { Watches } from '../src/capture/watches.ts'
import { FakeTimers } from './media-fakes.ts'

const { document: realDocument } = globalThis
let timers: FakeTimers
let page: EventTarget & { visibilityState: string }
beforeEach(() => {
  timers = new FakeTimers()
  page = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  Object.assign(globalThis, { document: page, addEventListener: page.addEventListener.bind(page) })
})
afterEach(() => {
  timers.restore()
  Object.assign(globalThis, { document: realDocument })
})

function watching(): { watches: Watches; seen: string[] } {
  const seen: string[] = []
  const watches = new Watches({
    timers: timers.worker,
    warnBeforeLeaving: false,
    isConnected: () => true,
    bytes: () => ({ recordedBytes: 0, waitingBytes: 0, acknowledgedBytes: 0 }),
    report: (event, detail) => void seen.push(`${event} ${detail}`),
    stoodStill: () => void seen.push('next part'),
    pageEnds: (mayReturn) => void seen.push(`page ends ${mayReturn}`),
    pageReturns: () => void seen.push('page returns'),
    shareVideo: () => undefined,
    storage: () => undefined,
  })
  return { watches, seen }
}

test('a sleep begins a next part before it is reported, whichever of the clocks went on', async () => {
  const { watches, seen } = watching()
  await timers.pass(5000)
  timers.sleep(600_000)
  await timers.pass(5000)
  assert.deepEqual(seen.splice(0), ['next part', 'slept for 600 s'])
  timers.block(600_000)
  await timers.pass(5000)
  assert.deepEqual(seen.splice(0), ['next part', 'slept for 600 s'])
  watches.close()
})

test('a page that the browser froze begins a next part as well', async () => {
  const { watches, seen } = watching()
  page.dispatchEvent(new Event('freeze'))
  timers.block(20_000)
  page.dispatchEvent(new Event('resume'))
  assert.deepEqual(seen, ['next part', 'frozen for 20 s'])
  watches.close()
})

test('a page that the browser keeps may return; one that is first shown does not', () => {
  const { watches, seen } = watching()
  const happens = (name: string, persisted: boolean): void => void page.dispatchEvent(Object.assign(new Event(name), { persisted }))
  happens('pageshow', false)
  happens('pagehide', true)
  happens('pageshow', true)
  happens('pagehide', false)
  assert.deepEqual(seen, ['page ends true', 'page returns', 'page ends false'])
  watches.close()
})
