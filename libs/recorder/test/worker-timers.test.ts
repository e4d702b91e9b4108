import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerTimers } from '../src/worker-timers.ts'

class FakeWorker extends EventTarget {
  static last: FakeWorker
  readonly posted: { id: number; ms?: number }[] = []
  isTerminated = false

  constructor() {
    super()
    FakeWorker.last = this
  }

  postMessage(message: { id: number; ms?: number }): void {
    this.posted.push(message)
  }

  terminate(): void {
    this.isTerminated = true
  }

  answers(data: number): void {
    this.dispatchEvent(new MessageEvent('message', { data }))
  }
}

test('timers run in the worker, and in the page where the worker never runs', (t) => {
  const { Worker } = globalThis as { Worker?: unknown }
  Object.assign(globalThis, { Worker: FakeWorker })
  t.after(() => Object.assign(globalThis, { Worker }))
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  const due: string[] = []

  const timers = new WorkerTimers()
  FakeWorker.last.answers(-1)
  timers.after(1000, () => due.push('in the worker'))
  t.mock.timers.tick(60_000)
  assert.deepEqual([due, timers.isThrottled], [[], false])
  FakeWorker.last.answers(FakeWorker.last.posted[0]!.id)
  assert.deepEqual(due, ['in the worker'])

  const blocked = new WorkerTimers()
  blocked.after(30_000, () => due.push('in the page'))
  for (let seconds = 0; seconds < 15; seconds += 1) t.mock.timers.tick(1000)
  assert.deepEqual([blocked.isThrottled, FakeWorker.last.isTerminated], [true, true])
  t.mock.timers.tick(15_000)
  assert.deepEqual(due, ['in the worker', 'in the page'])
})
