import { globSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const KINDS = ['unit', 'integration', 'e2e'] as const
export type Kind = (typeof KINDS)[number]

const FOLDERS = ['libs/*', 'services/*', 'deploy', 'load-tests']

/**
 * All test files of one kind, relative to the root: `*.integration.test.ts` need Kafka and Azurite, `*.e2e.test.ts`
 * the whole system or a browser, all others nothing.
 * @param only paths (files or folders, relative to the root) to keep; none: all
 */
export function testFiles(kind: Kind, only: readonly string[]): string[] {
  const files = FOLDERS.flatMap((folder) =>
    globSync(`${folder}/**/*.test.ts`, { cwd: ROOT, exclude: (name) => name === 'node_modules' || name.endsWith('/node_modules') }),
  )
  return files
    .filter((file) => kindOf(file) === kind)
    .filter((file) => only.length === 0 || only.some((path) => isWithin(file, path)))
    .toSorted()
}

function kindOf(file: string): Kind {
  if (file.endsWith('.integration.test.ts')) return 'integration'
  return file.endsWith('.e2e.test.ts') ? 'e2e' : 'unit'
}

function isWithin(file: string, path: string): boolean {
  const way = relative(resolve(ROOT, path), resolve(ROOT, file))
  return !way.startsWith('..')
}
