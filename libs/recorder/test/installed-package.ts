import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { buildRecorder } from '../build.ts'

const run = promisify(execFile)
const PACKAGE = fileURLToPath(new URL('..', import.meta.url))
const TSC = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')

export interface CustomerProject extends AsyncDisposable {
  folder: string
  /** What `npm pack` put into the package, sorted. */
  packed: string[]
  /** Where npm installed the package. */
  installed: string
  /** @returns what the compiler printed; empty where all is well */
  typeCheck(compilerOptions: Record<string, unknown>): Promise<string>
}

/** An empty project outside of this one, in which the package is installed as npm packs it. No network is needed. */
export async function installPackage(): Promise<CustomerProject> {
  const folder = await mkdtemp(join(tmpdir(), 'longtake-customer-'))
  const staged = join(folder, 'staged')
  // A copy: the tests of other files may be using `dist`.
  for (const file of ['package.json', 'README.md', 'LICENSE']) await cp(join(PACKAGE, file), join(staged, file))
  await buildRecorder(join(staged, 'dist'))
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: staged })
  const packs = Object.values(JSON.parse(stdout) as Record<string, { filename: string; files: { path: string }[] }>)
  const { filename, files } = packs[0]!
  const project = join(folder, 'project')
  await cp(join(staged, 'LICENSE'), join(project, 'LICENSE'))
  await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'customer', private: true, type: 'module' }))
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', join(folder, filename)], { cwd: project })
  return {
    folder: project,
    packed: files.map(({ path }) => path).toSorted(),
    installed: join(project, 'node_modules/@longtake/recorder'),
    typeCheck: (compilerOptions) => typeCheck(project, compilerOptions),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

async function typeCheck(folder: string, compilerOptions: Record<string, unknown>): Promise<string> {
  const config = { compilerOptions: { strict: true, noEmit: true, exactOptionalPropertyTypes: true, ...compilerOptions }, include: ['*.ts'] }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
  try {
    await run(process.execPath, [TSC, '-p', folder])
    return ''
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}
