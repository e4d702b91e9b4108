import { execFile } from 'node:child_process'
import { existsSync, globSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from './test-files.ts'

interface Bundle {
  script: string
  sources: string[]
  /** Absent until the first build. */
  output: string
}

// In this order: the pages contain the recorder's bundle.
const BUNDLES: readonly Bundle[] = [
  {
    script: 'libs/recorder/build.ts',
    sources: ['libs/recorder/build.ts', 'libs/recorder/internal-names.ts', 'libs/recorder/src/**', 'libs/contracts/src/**', 'package-lock.json'],
    output: 'libs/recorder/dist',
  },
  {
    script: 'services/query/pages/build.ts',
    sources: ['services/query/pages/**', 'libs/recorder/dist/**', 'package-lock.json'],
    output: 'services/query/dist/pages',
  },
]

/** Bundles what browsers load, where a source is newer than its bundle: a system that runs already keeps its files. */
export async function buildBundles(log: (line: string) => void): Promise<void> {
  for (const { script, sources, output } of BUNDLES) {
    if (newest([join(output, '**')], Math.min) > newest(sources, Math.max)) continue
    log(`bundling ${output}`)
    await promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', script], { cwd: ROOT })
  }
}

/** The newest (`Math.max`) or oldest (`Math.min`) change of these files in ms since the epoch; 0 if there are none. */
function newest(patterns: string[], pick: (...times: number[]) => number): number {
  const times = globSync(patterns, { cwd: ROOT })
    .map((file) => join(ROOT, file))
    .filter((file) => existsSync(file))
    .map((file) => statSync(file))
    .filter((stats) => stats.isFile())
    .map((stats) => stats.mtimeMs)
  return times.length === 0 ? 0 : times.reduce((a, b) => pick(a, b))
}
