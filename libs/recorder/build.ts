import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build, type BuildOptions, type Metafile } from 'esbuild'
import { minify } from 'terser'
import { thirdPartyNotices } from './third-party.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
/** The public types import nothing beyond these, which a test holds. */
const DECLARATIONS = ['api.d.ts', 'preflight/preflight.d.ts', 'recorder.d.ts', 'recovery/recovery.d.ts', 'typed-events.d.ts', 'index.d.ts']
/** The oldest browsers that are supported, as in `browserslist` of package.json. */
const TARGET = ['chrome110', 'firefox115', 'safari16.4']
/** The global of the classic script. */
const GLOBAL_NAME = 'Longtake'

/**
 * Builds the library into `outdir`, which is cleared first: an ES module without imports (`index.js` to be bundled, `longtake-recorder.min.js` to be
 * loaded as it is), a classic script with a global, the types, and the licences of all bundled packages.
 */
export async function buildRecorder(outdir = here('./dist')): Promise<void> {
  await rm(outdir, { recursive: true, force: true })
  const { version, license } = JSON.parse(await readFile(here('./package.json'), 'utf8')) as { version: string; license: string }
  const common: BuildOptions = {
    entryPoints: [here('./src/index.ts')],
    bundle: true,
    target: TARGET,
    legalComments: 'none',
    banner: { js: `/*! @longtake/recorder ${version} (${license}). Licences of bundled packages: THIRD-PARTY.txt */` },
    metafile: true,
  }
  const { metafile } = await build({ ...common, outfile: join(outdir, 'index.js'), format: 'esm', sourcemap: true })
  await buildMinified({ ...common, format: 'esm' }, join(outdir, 'longtake-recorder.min.js'))
  await buildMinified({ ...common, format: 'iife', globalName: GLOBAL_NAME }, join(outdir, 'longtake-recorder.global.js'))
  await writeFile(join(outdir, 'THIRD-PARTY.txt'), await thirdPartyNotices(bundledFiles(metafile!)))
  await writeTypes(outdir)
}

/** Of what esbuild has minified terser takes off another 4 % (compressed): it inlines, and folds what several passes find. */
async function buildMinified(options: BuildOptions, outfile: string): Promise<void> {
  const { outputFiles } = await build({ ...options, minify: true, write: false })
  const { code } = await minify(outputFiles![0]!.text, { ecma: 2020, module: options.format === 'esm', compress: { passes: 3 }, format: { comments: /^!/ } })
  await writeFile(outfile, code!)
}

/** Absolute paths of what a bundle is made of. */
function bundledFiles({ inputs }: Metafile): string[] {
  return Object.keys(inputs).map((path) => join(process.cwd(), path))
}

async function writeTypes(outdir: string): Promise<void> {
  const emitted = await mkdtemp(join(tmpdir(), 'longtake-types-'))
  try {
    const tsc = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')
    const options = ['-p', here('.'), '--noEmit', 'false', '--emitDeclarationOnly', '--declaration', '--rootDir', here('..'), '--outDir', emitted]
    await promisify(execFile)(process.execPath, [tsc, ...options])
    for (const file of DECLARATIONS) {
      const text = await readFile(join(emitted, 'recorder/src', file), 'utf8')
      await mkdir(dirname(join(outdir, file)), { recursive: true })
      await writeFile(join(outdir, file), text.replaceAll(/(from '\.{1,2}\/[\w/-]+)\.ts'/g, "$1.js'"))
    }
  } finally {
    await rm(emitted, { recursive: true, force: true })
  }
}

if (import.meta.main) await buildRecorder()
