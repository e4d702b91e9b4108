import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { WakeLock } from '../src/capture/wake-lock.ts'
import { settled } from './media-fakes.ts'

const held = new Set<object>()
const { document: realDocument } = globalThis

beforeEach(() => {
  held.clear()
  Object.assign(globalThis, { document: { visibilityState: 'visible' } })
  Object.defineProperty(navigator, 'wakeLock', { configurable: true, value: { request } })
})
afterEach(() => {
  Object.assign(globalThis, { document: realDocument })
  Reflect.deleteProperty(navigator, 'wakeLock')
})

async function request(): Promise<object> {
  await new Promise((resolve) => setImmediate(resolve))
  const lock = { released: false, release }
  function release(): Promise<void> {
    lock.released = true
    held.delete(lock)
    return Promise.resolve()
  }
  held.add(lock)
  return lock
}

test('a page that becomes visible while it is asked for the first time holds one lock, and gives it back', async () => {
  const wakeLock = new WakeLock()
  void wakeLock.acquire()
  await settled()
  assert.equal(held.size, 1)
  wakeLock.release()
  await settled()
  assert.equal(held.size, 0)
})

test('what is granted after the end is given back', async () => {
  new WakeLock().release()
  await settled()
  assert.equal(held.size, 0)
})
