import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
/** The public types import nothing beyond these, which a test holds. */
const DECLARATIONS = ['api.d.ts', 'preflight/preflight.d.ts', 'recorder.d.ts', 'recovery/recovery.d.ts', 'index.d.ts']

/** Bundles the library into dist: one ES module without imports, and its types. */
export async function buildRecorder(outdir = here('./dist')): Promise<void> {
  await rm(outdir, { recursive: true, force: true })
  await build({
    entryPoints: [here('./src/index.ts')],
    outdir,
    bundle: true,
    format: 'esm',
    target: ['chrome110', 'firefox115', 'safari16'],
    sourcemap: true,
    legalComments: 'eof',
  })
  await writeTypes(outdir)
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
      await writeFile(join(outdir, file), text.replaceAll(/(from '\.{1,2}\/[\w/]+)\.ts'/g, "$1.js'"))
    }
  } finally {
    await rm(emitted, { recursive: true, force: true })
  }
}

if (import.meta.main) await buildRecorder()
