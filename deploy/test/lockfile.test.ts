import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../local/test-files.ts'

interface Manifest {
  dependencies?: Record<string, string>
  devDependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
const { packages } = readJson('package-lock.json') as { packages: Record<string, Manifest> }

// A fresh clone is installed by `npm ci`, which refuses a lock with any difference.
test('the lock names the dependencies of every workspace as its package.json does', () => {
  for (const path of ['package.json', ...globSync(['{libs,services}/*/package.json', 'deploy/package.json', 'load-tests/package.json'], { cwd: ROOT })]) {
    const manifest = readJson(path) as Manifest
    const locked = packages[path === 'package.json' ? '' : dirname(path)]
    for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies'] as const) {
      assert.deepEqual(locked?.[kind] ?? {}, manifest[kind] ?? {}, `${kind} of ${path}: run npm install`)
    }
  }
})

// npm leaves out, without a word, what it could not find when the lock was written.
test('the lock holds the optional packages for all platforms, not only for the one it was written on', () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !isLocked(path, name))
      .map((name) => `${name}, wanted by ${path || 'the root'}`),
  )
  assert.deepEqual(missing, [])
})

/** Whether Node would find `name` from the package at `path`, by the lock. */
function isLocked(path: string, name: string): boolean {
  for (let at = path; ; at = dirname(at)) {
    if (`${at === '.' ? '' : `${at}/`}node_modules/${name}`.replace(/^\//, '') in packages) return true
    if (at === '.' || at === '') return false
  }
}
