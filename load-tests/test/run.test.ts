import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('../run.ts', import.meta.url))

/** Stands in for the query service: it knows one key. */
async function startQuery() {
  const server = createServer((request, response) => response.writeHead(request.headers.authorization === 'Bearer right' ? 200 : 401).end())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, async [Symbol.asyncDispose]() {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  } }
}

/** A folder for programs on PATH and for the cache. */
function sandbox() {
  const folder = mkdtempSync(join(tmpdir(), 'load-test-'))
  return {
    folder,
    program(name: string, lines: string): void {
      writeFileSync(join(folder, name), `#!/bin/sh\n${lines}\n`)
      chmodSync(join(folder, name), 0o755)
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

async function run(folder: string, env: Record<string, string>, args: string[] = []) {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...args], { env: { PATH: folder, XDG_CACHE_HOME: folder, LONGTAKE_LOCAL_DATA: folder, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close') as Promise<[number]>])
  return { stdout, stderr, code }
}

test('k6 of PATH gets the settings, the address and the key, and its verdict is ours', async () => {
  await using query = await startQuery()
  using box = sandbox()
  box.program('k6', 'echo "$1 $LONGTAKE_LOAD_SESSIONS $LONGTAKE_LOAD_AT_ONCE $LONGTAKE_LOAD_ACK_P95_MS $LONGTAKE_LOAD_URL $LONGTAKE_API_KEY"; exit 99')
  // As `npm start` leaves it.
  writeFileSync(join(box.folder, 'keys.json'), JSON.stringify({ apiKey: 'right' }))
  const { stdout, code } = await run(box.folder, { LONGTAKE_LOAD_URL: query.url }, ['--sessions', '3'])
  assert.equal(stdout.trim().split('\n').at(-1), `run 3 3 1000 ${query.url} right`)
  assert.equal(code, 99)
})

test('what is missing is said in one line with the way out', async () => {
  await using query = await startQuery()
  using box = sandbox()
  const cases: [Record<string, string>, RegExp][] = [
    [{}, /^longtake: there is no key: run `npm start`.*$/],
    [{ LONGTAKE_API_KEY: 'right', LONGTAKE_LOAD_URL: 'http://127.0.0.1:1' }, /^longtake: nothing answers at http:\/\/127.0.0.1:1: run `npm start`.*$/],
    [{ LONGTAKE_API_KEY: 'wrong', LONGTAKE_LOAD_URL: query.url }, /^longtake: .* does not take the key: set LONGTAKE_API_KEY.*$/],
    [{ LONGTAKE_API_KEY: 'right', LONGTAKE_LOAD_URL: query.url }, /^longtake: k6 is not on PATH, and neither is Go.*$/],
  ]
  for (const [env, words] of cases) {
    const { stderr, code } = await run(box.folder, env)
    assert.match(stderr.trim(), words)
    assert.equal(code, 1)
  }
})

test('without k6 Go builds it once, into the cache', async () => {
  await using query = await startQuery()
  using box = sandbox()
  const env = { LONGTAKE_API_KEY: 'right', LONGTAKE_LOAD_URL: query.url }
  box.program('go', '[ "$1" = version ] && exit 0; echo "go: no network" >&2; exit 1')
  const failed = await run(box.folder, env)
  assert.match(failed.stderr.trim(), /^longtake: k6 could not be built by `GOBIN=.* go install go.k6.io\/k6@latest`: go: no network$/)
  box.program('go', '[ "$1" = version ] && exit 0; printf "#!/bin/sh\\necho built" > "$GOBIN/k6"; /bin/chmod +x "$GOBIN/k6"')
  assert.match((await run(box.folder, env)).stdout, /building k6[^]*built$/m)
  assert.doesNotMatch((await run(box.folder, env)).stdout, /building k6/)
})
