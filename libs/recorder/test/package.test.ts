import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { runInNewContext, runInThisContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { build as buildByEsbuild } from 'esbuild'
import { build as buildByVite } from 'vite'
import type * as library from '../src/without-preflight.ts'
import { installFakePage } from './fake-page.ts'
import { FakeSocket } from './fake-socket.ts'
import { installPackage, type CustomerProject } from './installed-package.ts'
import { FakeMediaRecorder, FakeSource, settled, streamOf } from './media-fakes.ts'
import { SPOOL_KEY } from './spool-key.ts'

/** Of each minified file, as the README promises. */
const MAX_GZIP_BYTES = { 'longtake-recorder': 25 * 1024, 'longtake-preflight': 8 * 1024, 'longtake-media': 2 * 1024, 'longtake-screen': 1024, 'longtake-adapt': 2 * 1024, 'longtake-rescue': 6 * 1024 }
const EXPORTS = {
  '@longtake/recorder': ['RECORDER_ERROR_CODES', 'RecorderError', 'preflight', 'recordedTracks', 'recoverPending', 'startRecorder'],
  '@longtake/recorder/media': ['LevelMeter', 'mixAudio'],
  '@longtake/recorder/screen': ['ScreenShareError', 'shareEntireScreen', 'surfaceOf', 'watchSurface'],
  '@longtake/recorder/adapt': ['keepUp'],
  '@longtake/recorder/rescue': ['download', 'rescue'],
}
/** Of each classic script: its global, and what that holds. */
const GLOBALS = {
  'longtake-recorder': ['Longtake', ['RecorderError', 'recoverPending', 'startRecorder']],
  'longtake-preflight': ['LongtakePreflight', ['preflight']],
  'longtake-media': ['LongtakeMedia', EXPORTS['@longtake/recorder/media']],
  'longtake-screen': ['LongtakeScreen', EXPORTS['@longtake/recorder/screen']],
  'longtake-adapt': ['LongtakeAdapt', EXPORTS['@longtake/recorder/adapt']],
  'longtake-rescue': ['LongtakeRescue', EXPORTS['@longtake/recorder/rescue']],
} as const
const APP = "import { RecorderError, startRecorder } from '@longtake/recorder'\nObject.assign(globalThis, { RecorderError, startRecorder })\n"

let project: CustomerProject
before(async () => {
  project = await installPackage()
})
after(() => project[Symbol.asyncDispose]())

const inPackage = (file: string): Promise<string> => readFile(join(project.installed, file), 'utf8')

test('the package holds what is to be distributed, needs no other package, and holds none', async () => {
  assert.deepEqual(project.packed.filter((path) => !path.endsWith('.d.ts')), [
    'LICENSE',
    'README.md',
    'dist/adapt.js',
    'dist/adapt.js.map',
    'dist/index.js',
    'dist/index.js.map',
    'dist/longtake-adapt.global.js',
    'dist/longtake-adapt.min.js',
    'dist/longtake-media.global.js',
    'dist/longtake-media.min.js',
    'dist/longtake-preflight.global.js',
    'dist/longtake-preflight.min.js',
    'dist/longtake-recorder.global.js',
    'dist/longtake-recorder.min.js',
    'dist/longtake-rescue.global.js',
    'dist/longtake-rescue.min.js',
    'dist/longtake-screen.global.js',
    'dist/longtake-screen.min.js',
    'dist/media.js',
    'dist/media.js.map',
    'dist/rescue.js',
    'dist/rescue.js.map',
    'dist/screen.js',
    'dist/screen.js.map',
    'package.json',
  ])
  assert.equal((JSON.parse(await inPackage('package.json')) as { dependencies?: unknown }).dependencies, undefined)
  assert.equal(await inPackage('LICENSE'), await readFile(new URL('../../../LICENSE', import.meta.url), 'utf8'))
  for (const module of project.packed.filter((path) => /^dist\/\w+\.js$/.test(path))) {
    const bundled = (await inPackage(module)).match(/^ *\/\/ .*node_modules\/.*/gm) ?? []
    assert.deepEqual(bundled, [], `${module}: the licence of what is bundled has to be distributed with it`)
  }
})

for (const [script, limit] of Object.entries(MAX_GZIP_BYTES)) {
  test(`${script} stays within ${limit} bytes, compressed`, async (t) => {
    for (const file of [`${script}.min.js`, `${script}.global.js`]) {
      const bytes = gzipSync(await inPackage(`dist/${file}`), { level: 9 }).length
      t.diagnostic(`${file}: ${bytes} bytes`)
      assert.ok(bytes <= limit, `${file} has ${bytes} bytes: the README promises ${limit}`)
    }
  })
}

test('each file is whole', async () => {
  const modules = project.packed.filter((path) => path.endsWith('.js') && !path.endsWith('.global.js'))
  assert.equal(modules.length, 11)
  for (const file of modules) assert.doesNotMatch(await inPackage(file), /(^|[;}])(import|export)\b[^;]*\bfrom ?["']/m, file)
})

for (const [specifier, exported] of Object.entries(EXPORTS)) {
  test(`a server can import ${specifier}: nothing is read from a page, set, started or printed`, async () => {
    const script = `const before = Object.getOwnPropertyNames(globalThis)
      const names = Object.keys(await import('${specifier}'))
      const added = Object.getOwnPropertyNames(globalThis).filter((name) => !before.includes(name))
      console.log(JSON.stringify({ names, added, handles: process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap') }))`
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], { cwd: project.folder })
    assert.equal(stderr, '')
    const { names, ...rest } = JSON.parse(stdout) as { names: string[] }
    assert.deepEqual(names.toSorted(), exported)
    assert.deepEqual(rest, { added: [], handles: [] })
  })
}

for (const [script, [global, exported]] of Object.entries(GLOBALS)) {
  test(`the classic script ${script} defines ${global}`, async () => {
    const page: Record<string, unknown> = { EventTarget, Error }
    const before = Object.keys(page)
    runInNewContext(await inPackage(`dist/${script}.global.js`), page)
    assert.deepEqual(Object.keys(page).filter((name) => !before.includes(name)), [global])
    assert.deepEqual(Object.keys(page[global] as object).toSorted(), exported)
  })

  test(`the classic script ${script} reads the same in a page of any encoding`, async () => {
    assert.match(await inPackage(`dist/${script}.global.js`), /^[\0-\x7f]*$/)
  })
}

const LOADERS: Record<string, () => Promise<typeof library>> = {
  'longtake-recorder.min.js': () => import(join(project.installed, 'dist/longtake-recorder.min.js')) as Promise<typeof library>,
  'longtake-recorder.global.js': async () => runInThisContext(`${await inPackage('dist/longtake-recorder.global.js')};Longtake`) as typeof library,
}

for (const [file, load] of Object.entries(LOADERS)) {
  test(`${file} records, keeps and sends as its source does`, async (t) => {
    t.after(installFakePage())
    const { startRecorder, recoverPending } = await load()
    const session = randomUUID()
    const recorder = await startRecorder({ ingest: { url: `ws://g/v1/ingest/${session}`, token: 't', spoolKey: SPOOL_KEY }, tracks: { webcam: { stream: streamOf(new FakeSource('video')) } } })
    const [socket] = FakeSocket.all
    socket!.welcomes()
    FakeMediaRecorder.all[0]!.give('chunk')
    while (!socket!.sent.some(({ type }) => type === 'chunk')) await settled()
    assert.equal(recorder.progress['webcam']?.sent.bytes, 'chunk'.length)
    recorder.pause()
    assert.deepEqual(recorder.tracks, { webcam: 'paused' })
    const stopped = recorder.stop()
    while (!socket!.sent.some(({ type }) => type === 'finish')) await settled()
    socket!.says({ type: 'ack', handle: 0, from: 0, to: 1 })
    for (const { type, ...of } of socket!.sent) if (['open', 'close', 'finish'].includes(type)) socket!.says({ type: 'durable', of: type, ...of })
    await stopped
    assert.equal(recorder.situation.kind, 'safe')
    assert.deepEqual(await recoverPending({ access: () => assert.fail('nothing is left') }), [])
  })
}

const RESOLUTIONS = { bundler: { module: 'preserve', moduleResolution: 'bundler' }, node16: { module: 'node16', moduleResolution: 'node16' } }
for (const [name, resolution] of Object.entries(RESOLUTIONS)) {
  test(`types stand alone, and every example of the README compiles: moduleResolution ${name}`, async () => {
    const options = { ...resolution, target: 'es2022', lib: ['es2022', 'dom'], types: [], skipLibCheck: false }
    const readme = await inPackage('README.md')
    const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!)
    assert.ok(examples.length > 0)
    for (const [i, code] of examples.entries()) await writeFile(join(project.folder, `example-${i}.ts`), `${code}\nexport {}\n`)
    await writeFile(join(project.folder, 'wrong.ts'), '')
    assert.equal(await project.typeCheck(options), '')

    const wrong = "import { startRecorder } from '@longtake/recorder'\nvoid startRecorder({ ingest: { url: 1, token: '', spoolKey: '' }, tracks: {} })\n"
    await writeFile(join(project.folder, 'wrong.ts'), wrong)
    assert.match(await project.typeCheck(options), /wrong\.ts.*'number' is not assignable to type 'string'/)
  })
}

test('Vite bundles it', async () => {
  await writeFile(join(project.folder, 'app.js'), APP)
  await writeFile(join(project.folder, 'index.html'), '<script type="module" src="/app.js"></script>')
  const result = await buildByVite({ root: project.folder, configFile: false, logLevel: 'error', build: { write: false, modulePreload: false } })
  assert.ok('output' in result)
  const chunks = result.output.filter((file) => file.type === 'chunk')
  assert.equal(chunks.length, 1)
  assert.deepEqual(chunks[0]!.imports, [])
  await assertRuns(chunks[0]!.code)
})

test('esbuild bundles it, without what is not used', async () => {
  await writeFile(join(project.folder, 'app.js'), APP)
  const { outputFiles, warnings } = await buildByEsbuild({ absWorkingDir: project.folder, entryPoints: ['app.js'], bundle: true, minify: true, format: 'esm', write: false })
  assert.deepEqual(warnings, [])
  const text = await inPackage('dist/index.js')
  for (const unused of ['longtake-preflight', 'access to what was left']) {
    assert.ok(text.includes(unused))
    assert.ok(!outputFiles[0]!.text.includes(unused), `"${unused}" is of a function that the app does not use`)
  }
  await assertRuns(outputFiles[0]!.text)
})

/** The bundle is an app that puts its imports on the page. */
async function assertRuns(code: string): Promise<void> {
  const script = `${code}\nconsole.log(new globalThis.RecorderError('deleted', 'text').code, typeof globalThis.startRecorder)`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script])
  assert.equal(stdout, 'deleted function\n')
}
