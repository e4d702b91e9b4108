import { cp, mkdir, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** Bundles the pages into services/query/dist/pages. The record page imports the recorder's own bundle, as any customer would. */
export async function buildPages(): Promise<void> {
  const outdir = here('../dist/pages')
  await rm(outdir, { recursive: true, force: true })
  await mkdir(outdir, { recursive: true })
  await build({
    entryPoints: [here('./record.ts'), here('./watch.ts')],
    outdir,
    bundle: true,
    format: 'esm',
    target: ['chrome110', 'firefox115', 'safari16'],
    sourcemap: true,
    external: ['/pages/recorder/*'],
  })
  for (const file of ['record.html', 'watch.html', 'style.css', 'favicon.svg']) await cp(here(`./${file}`), `${outdir}/${file}`)
  await cp(here('../../../libs/recorder/dist'), `${outdir}/recorder`, { recursive: true })
}

if (import.meta.main) await buildPages()
