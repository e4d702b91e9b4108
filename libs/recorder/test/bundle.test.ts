import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { buildRecorder } from '../build.ts'

const PACKAGE = new URL('../package.json', import.meta.url)
const TSC = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')
const OPTIONS = { target: 'esnext', lib: ['esnext', 'dom'], module: 'preserve', moduleResolution: 'bundler', types: [], strict: true, noEmit: true, exactOptionalPropertyTypes: true }

/** A project outside of this one, in which the built package is installed. */
async function customer(): Promise<AsyncDisposable & { folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'longtake-customer-'))
  const installed = join(folder, 'node_modules/@longtake/recorder')
  await mkdir(installed, { recursive: true })
  await writeFile(join(installed, 'package.json'), await readFile(PACKAGE))
  await buildRecorder(join(installed, 'dist'))
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: OPTIONS, include: ['*.ts'] }))
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}

async function typeFaults(folder: string): Promise<string> {
  try {
    await promisify(execFile)(process.execPath, [TSC, '-p', folder])
    return ''
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}

test('whoever installs the package gets one module that needs nothing else, with types that stand alone', async () => {
  await using project = await customer()
  const bundle = join(project.folder, 'node_modules/@longtake/recorder/dist/index.js')
  assert.doesNotMatch(await readFile(bundle, 'utf8'), /^(import|export .* from) /m)
  assert.deepEqual(Object.keys((await import(pathToFileURL(bundle).href)) as object).toSorted(), ['RECORDER_ERROR_CODES', 'RecorderError', 'preflight', 'recoverPending', 'startRecorder'])

  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  await writeFile(join(project.folder, 'example.ts'), example)
  assert.equal(await typeFaults(project.folder), '')

  await writeFile(join(project.folder, 'wrong.ts'), "import { startRecorder } from '@longtake/recorder'\nvoid startRecorder({ ingest: { url: 1, token: '', spoolKey: '' }, tracks: {} })\n")
  assert.match(await typeFaults(project.folder), /wrong\.ts.*'number' is not assignable to type 'string'/)
})
