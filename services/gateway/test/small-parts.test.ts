import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Budget, RECORD_OVERHEAD_BYTES } from '../src/budget.ts'
import { Clients } from '../src/clients.ts'
import { isRecordingType } from '../src/recording-type.ts'
import { Window } from '../src/window.ts'

test('MIME types of recorders are known with and without codecs, others are not', () => {
  for (const good of ['video/webm', 'video/webm;codecs=vp9,opus', 'audio/webm; codecs="opus"', 'video/x-matroska;codecs=avc1', 'Video/MP4;codecs=avc1.42E01E,mp4a.40.2', 'audio/mp4']) assert.ok(isRecordingType(good), good)
  for (const bad of ['', 'video', 'video/webmx', 'image/webm', 'video/quicktime', 'text/html;video/webm', 'video/webm,video/mp4', 'video/webm;codecs=é', 'video/webm;\u0000']) assert.ok(!isRecordingType(bad), bad)
})

test('an obeying client never exceeds its window, whatever is narrowed while its chunks are on their way', () => {
  // The client sees windows and acks late; the gateway must not call it a violator as long as that takes less than the grace.
  const events = fc.array(fc.oneof(fc.record({ window: fc.integer({ min: 0, max: 50 }) }), fc.record({ wants: fc.integer({ min: 1, max: 20 }) }), fc.constant('arrives' as const), fc.constant('settles' as const), fc.constant('hears' as const)), { maxLength: 200 })
  fc.assert(
    fc.property(events, (steps) => {
      const gateway = new Window(30, 1000)
      const toClient: ({ window: number } | { acked: number })[] = []
      const toGateway: number[] = []
      const held: number[] = []
      let window = 30
      let inFlight = 0
      steps.forEach((step, now) => {
        if (typeof step === 'object' && 'window' in step) {
          gateway.resize(step.window, now)
          toClient.push(step)
        } else if (typeof step === 'object') {
          if (inFlight + step.wants > window) return
          inFlight += step.wants
          toGateway.push(step.wants)
        } else if (step === 'arrives') {
          const size = toGateway.shift()
          if (size === undefined) return
          assert.ok(gateway.admits(size, now))
          gateway.hold(size)
          held.push(size)
        } else if (step === 'settles') {
          const size = held.shift()
          if (size === undefined) return
          gateway.release(size)
          toClient.push({ acked: size })
        } else {
          const message = toClient.shift()
          if (message === undefined) return
          if ('window' in message) window = message.window
          else inFlight -= message.acked
        }
      })
    }),
  )
})

test('a window narrower than a chunk lets one through at a time', () => {
  const window = new Window(0, 1000)
  assert.ok(window.admits(500, 0))
  window.hold(500)
  assert.ok(!window.admits(1, 0))
  window.release(500)
  assert.ok(window.admits(500, 0))
})

test('windows narrow in two steps as memory fills, and widen only when half of it is free again', () => {
  const size = 10 * 1024 - RECORD_OVERHEAD_BYTES
  const budget = new Budget(100 * 1024, 1000)
  const windows: number[] = []
  for (let i = 1; i <= 10; i += 1) {
    budget.take(size)
    windows.push(budget.windowBytes)
  }
  assert.deepEqual(windows, [1000, 1000, 1000, 250, 250, 250, 0, 0, 0, 0])
  assert.ok(budget.full)
  assert.ok(!budget.fits(1))
  windows.length = 0
  for (let i = 1; i <= 10; i += 1) {
    budget.give(size)
    windows.push(budget.windowBytes)
  }
  assert.deepEqual(windows, [0, 0, 0, 0, 0, 0, 250, 250, 1000, 1000])
  assert.equal(budget.used, 0)
})

test('many clients share memory: their windows together stay below the first mark, down to about a chunk each', () => {
  const MIB = 1024 * 1024
  const budget = new Budget(100 * MIB, 4 * MIB)
  const windowOf = (clients: number): number => {
    budget.divide(clients)
    return budget.windowBytes
  }
  assert.equal(windowOf(1), 4 * MIB)
  assert.equal(windowOf(10), 4 * MIB)
  assert.equal(windowOf(11), 2 * MIB)
  assert.equal(windowOf(10), 2 * MIB, 'one that comes and goes changes nothing for the others')
  assert.equal(windowOf(5), 4 * MIB)
  assert.equal(windowOf(500), 64 * 1024)
  assert.equal(windowOf(10_000), 64 * 1024)
  for (let clients = 1; clients < 600; clients += 1) assert.ok(clients * windowOf(clients) <= 40 * MIB, `${clients} clients`)
  assert.equal(windowOf(0), 4 * MIB)
})

test('of each client the newest connection counts', () => {
  const clients = new Clients<{ session: string; client: string }>()
  const [old, fresh, other] = [{ session: 's', client: 'a' }, { session: 's', client: 'a' }, { session: 's', client: 'b' }]
  assert.equal(clients.add(old), undefined)
  clients.add(other)
  assert.equal(clients.add(fresh), old)
  assert.deepEqual(clients.ofSession('s'), [fresh, other])
  assert.equal(clients.all.size, 3)
  assert.equal(clients.remove(old), false, 'the client is still here')
  assert.equal(clients.find('s', 'a'), fresh)
  assert.equal(clients.remove(fresh), true)
  assert.equal(clients.remove(other), true)
  assert.deepEqual([clients.ofSession('s'), clients.all.size], [[], 0])
})
