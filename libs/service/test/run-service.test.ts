import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startDemo } from './demo-process.ts'

const messages = (demo: ReturnType<typeof startDemo>) => demo.lines.map(({ message }) => message)

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} disposes the service and exits with 0`, async () => {
    await using demo = startDemo()
    await demo.logged('started')
    demo.signal(signal)
    assert.equal(await demo.exited, 0)
    assert.deepEqual(messages(demo).slice(-4), ['stopping', 'disposing', 'disposed', 'stopped'])
  })
}

test('a stop that hangs ends after its bound with 1', async () => {
  await using demo = startDemo({ DEMO_FAULT: 'stop hangs', LONGTAKE_SHUTDOWN_TIMEOUT: '100ms' })
  await demo.logged('started')
  demo.signal('SIGTERM')
  assert.equal(await demo.exited, 1)
  assert.equal(messages(demo).at(-1), 'the stop takes too long: the process ends')
})

test('a second signal ends a hanging stop at once, its echo within half a second does not', async () => {
  await using demo = startDemo({ DEMO_FAULT: 'stop hangs', LONGTAKE_SHUTDOWN_TIMEOUT: '1h' })
  await demo.logged('started')
  demo.signal('SIGINT')
  await demo.logged('disposing')
  const impatient = setInterval(() => demo.signal('SIGTERM'), 50)
  assert.equal(await demo.exited, 1)
  clearInterval(impatient)
  const [first, second] = ['stopping', 'signalled again: the process ends at once'].map((message) => demo.lines.find((line) => line.message === message))
  assert.ok(Date.parse(String(second?.['time'])) - Date.parse(String(first?.['time'])) >= 500)
})

test('a start that gives up because of a signal is an orderly stop', async () => {
  await using demo = startDemo({ DEMO_FAULT: 'start waits' })
  await demo.logged('waiting')
  demo.signal('SIGTERM')
  assert.equal(await demo.exited, 0)
})

test('a start that fails is told with its causes and exits with 1', async () => {
  await using demo = startDemo({ DEMO_FAULT: 'start throws' })
  assert.equal(await demo.exited, 1)
  const line = await demo.logged('the start failed')
  assert.equal(line.level, 'fatal')
  assert.match(JSON.stringify(line['error']), /no broker answers.*ECONNREFUSED/)
})

test('an unhandled rejection is fatal', async () => {
  await using demo = startDemo({ DEMO_FAULT: 'rejects later' })
  assert.equal(await demo.exited, 1)
  const line = await demo.logged('uncaught error: the process ends')
  assert.match(JSON.stringify(line['error']), /nobody waits for me/)
})

test('fail() stops in order and exits with 1', async () => {
  await using demo = startDemo({ DEMO_FAULT: 'fails later' })
  assert.equal(await demo.exited, 1)
  assert.ok(messages(demo).includes('the service cannot go on'))
  assert.ok(messages(demo).includes('disposed'))
})

test('wrong settings are all told, once and readably, and no secret with them', async () => {
  await using demo = startDemo({ LONGTAKE_TRACE_RATIO: '5%', LONGTAKE_LOG_LEVEL: 'loud', LONGTAKE_SHUTDOWN_TIMEOT: '10s' })
  assert.equal(await demo.exited, 1)
  assert.match(demo.stderr(), /^demo cannot start\. 3 settings are wrong:\n( {2}LONGTAKE_\w+ .*\n){3}$/)
  assert.deepEqual(messages(demo), [])
})

test('health, readiness and metrics are served', async () => {
  await using demo = startDemo({ DEMO_FAULT: 'not ready' })
  const base = `http://127.0.0.1:${String((await demo.logged('started'))['healthPort'])}`
  assert.equal((await fetch(`${base}/healthz`)).status, 200)
  const ready = await fetch(`${base}/readyz`)
  assert.equal(ready.status, 503)
  assert.deepEqual(await ready.json(), { ready: false, checks: { service: { ready: true }, kafka: { ready: false, reason: 'no partitions yet' } } })
  const metrics = await (await fetch(`${base}/metrics`)).text()
  // A counter made at module load counts, and its session label is gone.
  assert.match(metrics, /^demo_work_total\{outcome="done",otel_scope_name="demo"\} 3$/m)
  assert.match(metrics, /^nodejs_eventloop_/m)
  assert.equal((await fetch(`${base}/`)).status, 404)
})
