import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build, type BuildOptions } from 'esbuild'
import { minify } from 'terser'
import { internalNames } from './internal-names.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
interface Script {
  source: string
  /** Of the minified files, before `.min.js` and `.global.js`. */
  name: string
  /** What the classic script defines. */
  global: string
}

interface Entry {
  source: string
  /** What bundlers import. */
  module: string
  /** What pages without a bundler load. */
  scripts: readonly Script[]
}

/** A folder with one script. */
function entryOf(folder: string, global: string): Entry {
  const source = `./src/${folder}/index.ts`
  return { source, module: `${folder}.js`, scripts: [{ source, name: `longtake-${folder}`, global }] }
}

/**
 * Each file is whole: it shares nothing with another, so that it can be copied as it is. A bundler leaves out what is not used; who
 * loads a script gets all of it, so preflight, which a page uses once before the start, is a script of its own.
 */
const ENTRIES: readonly Entry[] = [
  {
    source: './src/index.ts',
    module: 'index.js',
    scripts: [
      { source: './src/without-preflight.ts', name: 'longtake-recorder', global: 'Longtake' },
      { source: './src/preflight/preflight.ts', name: 'longtake-preflight', global: 'LongtakePreflight' },
    ],
  },
  entryOf('media', 'LongtakeMedia'),
  entryOf('screen', 'LongtakeScreen'),
  entryOf('adapt', 'LongtakeAdapt'),
  entryOf('rescue', 'LongtakeRescue'),
]
/** The public types import nothing beyond these, which a test holds. */
const DECLARATIONS = [
  'adapt/index.d.ts',
  'adapt/keep-up.d.ts',
  'api.d.ts',
  'index.d.ts',
  'media/audio-level.d.ts',
  'media/index.d.ts',
  'media/level-meter.d.ts',
  'media/mix-audio.d.ts',
  'preflight/preflight.d.ts',
  'recorder.d.ts',
  'recovery/recovery.d.ts',
  'rescue/index.d.ts',
  'rescue/rescue.d.ts',
  'screen/entire-screen.d.ts',
  'screen/index.d.ts',
  'spool/recorded-tracks.d.ts',
  'typed-events.d.ts',
  'without-preflight.d.ts',
]
const EXPORTS_AT_END = /export\{([^}]+)\};?\s*$/
/** The oldest browsers that are supported, as in `browserslist` of package.json. */
const TARGET = ['chrome110', 'firefox115', 'safari16.4']

/**
 * Builds the library into `outdir`, which is cleared first: of each entry an ES module without imports to be bundled, and its scripts
 * minified, as a module (`….min.js`) and as a classic script with a global (`….global.js`); and the types.
 */
export async function buildRecorder(outdir = here('./dist')): Promise<void> {
  await rm(outdir, { recursive: true, force: true })
  const { version, license } = JSON.parse(await readFile(here('./package.json'), 'utf8')) as { version: string; license: string }
  const banner = `/*! @longtake/recorder ${version} (${license}) */`
  const publicTypes = await writeTypes(outdir)
  await Promise.all(ENTRIES.map((entry) => buildEntry(entry, outdir, banner, publicTypes)))
}

async function buildEntry({ source, module, scripts }: Entry, outdir: string, banner: string, publicTypes: string): Promise<void> {
  const common: BuildOptions = { bundle: true, target: TARGET, legalComments: 'none', banner: { js: banner } }
  await build({ ...common, entryPoints: [here(source)], outfile: join(outdir, module), format: 'esm', sourcemap: true })
  for (const script of scripts) {
    const entryPoints = [here(script.source)]
    const code = await minifiedOf({ ...common, entryPoints, format: 'esm' }, publicTypes)
    await writeFile(join(outdir, `${script.name}.min.js`), code)
    await writeFile(join(outdir, `${script.name}.global.js`), await classicOf(code, script.global, banner))
  }
}

/** Of what esbuild has minified terser takes off another 6 % (compressed): it inlines, folds what several passes find, and shortens internal names. */
async function minifiedOf(options: BuildOptions, publicTypes: string): Promise<string> {
  const bundle = async (isMinified: boolean): Promise<string> => (await build({ ...options, minify: isMinified, write: false })).outputFiles![0]!.text
  const mangle = { properties: { regex: new RegExp(`^(${internalNames(await bundle(false), publicTypes).join('|')})$`) } }
  const { code } = await minify(await bundle(true), { ecma: 2020, module: true, mangle, compress: { passes: 3, hoist_funs: true }, format: { comments: /^!/ } })
  return code!
}

/** A minified module as a script that defines `global`: esbuild's own format for that adds 250 bytes (compressed) of getters. */
async function classicOf(module: string, global: string, banner: string): Promise<string> {
  const [exported, names] = EXPORTS_AT_END.exec(module) ?? []
  if (exported === undefined || names === undefined) throw new Error('the minified module does not end with what it exports')
  const members = names.split(',').map((name) => name.split(' as ').toReversed().join(':'))
  const body = module.slice(0, -exported.length).replace(banner, '')
  // Browsers read a classic script in the encoding of its page, which need not be UTF-8; modules are always UTF-8.
  const { code } = await minify(`var ${global}=(()=>{"use strict";${body}return{${members.join()}}})();`, { compress: false, mangle: false, format: { ascii_only: true } })
  return `${banner}\n${code!}`
}

/** @returns all of them */
async function writeTypes(outdir: string): Promise<string> {
  const emitted = await mkdtemp(join(tmpdir(), 'longtake-types-'))
  try {
    const tsc = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')
    const options = ['-p', here('.'), '--noEmit', 'false', '--emitDeclarationOnly', '--declaration', '--rootDir', here('..'), '--outDir', emitted]
    await promisify(execFile)(process.execPath, [tsc, ...options])
    let types = ''
    for (const file of DECLARATIONS) {
      const text = await readFile(join(emitted, 'recorder/src', file), 'utf8')
      types += text
      await mkdir(dirname(join(outdir, file)), { recursive: true })
      await writeFile(join(outdir, file), text.replaceAll(/(from '\.{1,2}\/[\w/-]+)\.ts'/g, "$1.js'"))
    }
    return types
  } finally {
    await rm(emitted, { recursive: true, force: true })
  }
}

if (import.meta.main) await buildRecorder()
