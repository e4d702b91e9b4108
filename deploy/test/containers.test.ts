import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { allocatorEnv, SERVICES } from '../local/services.ts'
import { ROOT } from '../local/test-files.ts'

interface ComposeService {
  image: string
  command?: string[]
  environment?: Record<string, string>
  ports?: string[]
  depends_on?: Record<string, { condition: string }>
  read_only?: boolean
  stop_grace_period?: string
}

const text = readFileSync(join(ROOT, 'deploy', 'compose.yaml'), 'utf8')
const compose = parse(text, { merge: true }) as { services: Record<string, ComposeService>; volumes: Record<string, null> }
const dockerfile = readFileSync(join(ROOT, 'deploy', 'Dockerfile'), 'utf8')

test('the linter has nothing to say about the Dockerfile', async () => {
  const { stdout } = await promisify(execFile)(join(ROOT, 'node_modules', '.bin', 'dockerfilelint'), ['--output', 'json', join(ROOT, 'deploy', 'Dockerfile')])
  assert.equal((JSON.parse(stdout) as { totalIssues: number }).totalIssues, 0, stdout)
})

test('the image runs without root, and what it runs and copies is there', () => {
  assert.match(dockerfile, /^USER 1000$/m)
  const scripts = [...dockerfile.matchAll(/(?:node |")((?:services|libs)\/\S+?\.ts)/g)].map((match) => match[1] as string)
  assert.ok(scripts.length >= 3)
  for (const script of scripts) assert.ok(existsSync(join(ROOT, script)), `${script} does not exist`)
})

test('compose runs every service of the project, and each by its own main.ts', () => {
  const others = ['kafka', 'azurite', 'provision']
  assert.deepEqual(Object.keys(compose.services).toSorted(), [...SERVICES, ...others].toSorted())
  for (const service of SERVICES) {
    assert.deepEqual(compose.services[service]?.command, [`services/${service}/src/main.ts`])
    assert.deepEqual(compose.services[service]?.depends_on, { provision: { condition: 'service_completed_successfully' } })
    assert.equal(compose.services[service]?.read_only, true)
  }
})

test('a service has what its process needs before it starts', () => {
  for (const service of SERVICES) {
    for (const [name, value] of Object.entries(allocatorEnv(service))) assert.equal(compose.services[service]?.environment?.[name], value)
  }
})

test('images are pinned, ports are open on this machine only, and conditions name services', () => {
  for (const [name, service] of Object.entries(compose.services)) {
    assert.match(service.image, /^longtake$|:\d+\.\d+\.\d+$/, `${name}: ${service.image}`)
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:(\d+):\1$/)
    for (const other of Object.keys(service.depends_on ?? {})) assert.ok(other in compose.services, `${name} waits for ${other}`)
  }
})

test('secrets have no defaults', () => {
  const variables = [...text.matchAll(/\$\{(\w+)([^}]*)\}/g)].map(([, name, rest]) => ({ name: name as string, rest: rest as string }))
  const secrets = variables.filter(({ name }) => /KEY|SECRET|PASSWORD|TOKEN/.test(name))
  assert.deepEqual([...new Set(secrets.map(({ name }) => name))].toSorted(), ['LONGTAKE_API_KEY', 'LONGTAKE_STORAGE_KEY', 'LONGTAKE_TOKEN_SECRET'])
  for (const { name, rest } of secrets) assert.match(rest, /^:\?\S/, `${name} has a default or no hint`)
})
