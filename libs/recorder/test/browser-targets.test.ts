import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { before, test } from 'node:test'
import { build } from 'esbuild'
import { missingApis, type Targets } from './browser-apis.ts'

/** What `browserslist` calls differently from MDN's data. */
const MDN_NAMES: Readonly<Record<string, string>> = { ios_saf: 'safari_ios' }

let targets: Targets
before(async () => {
  const { browserslist } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as { browserslist: string[] }
  targets = Object.fromEntries(browserslist.map((query) => query.split(' >= ') as [string, string]).map(([name, version]) => [MDN_NAMES[name] ?? name, version]))
})

test('every browser that package.json names has all that the recorder uses', async () => {
  const entryPoints = ['index.ts', 'media/index.ts', 'screen/index.ts', 'adapt/index.ts', 'rescue/index.ts'].map((file) => fileURLToPath(new URL(`../src/${file}`, import.meta.url)))
  const { outputFiles } = await build({ entryPoints, bundle: true, format: 'esm', target: 'esnext', write: false, outdir: '.' })
  assert.equal(outputFiles.length, entryPoints.length)
  for (const { text } of outputFiles) assert.deepEqual(missingApis(text, targets), [])
})

test('the README names the same browsers', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const [chrome, firefox, safari] = /Chrome and Edge (\S+), Firefox (\S+), Safari (\S+) on macOS and iOS/.exec(readme)?.slice(1) ?? []
  assert.deepEqual({ chrome, edge: chrome, firefox, safari, safari_ios: safari }, targets)
})

for (const [what, script, found] of [
  ['a static method that is too young', "URL.canParse('x')", ['URL.canParse: safari 17 (wanted: 16.4)', 'URL.canParse: chrome 120 (wanted: 110)']],
  ['a class that a browser lacks', 'new PressureObserver(() => undefined)', ['PressureObserver: firefox never (wanted: 115)']],
  ['a method of an object that is not a global', 'const a = [1]; a.at(0); a.getOrInsert(1)', ['.getOrInsert(): safari 26.2 (wanted: 16.4)']],
] as const) {
  test(`the check finds ${what}`, () => {
    const missing = missingApis(script, targets)
    for (const line of found) assert.ok(missing.includes(line), missing.join('\n'))
  })
}

for (const [what, script] of [
  ['is used only where it exists', "if (typeof PressureObserver !== 'undefined') new PressureObserver(() => undefined)"],
  ['is asked for by ?.', "navigator.wakeLock?.request('screen')"],
  ['is defined by the module itself', 'class Queue { getOrInsert() {} } new Queue().getOrInsert()'],
] as const) {
  test(`the check accepts what ${what}`, () => assert.deepEqual(missingApis(script, targets), []))
}
