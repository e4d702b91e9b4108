import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../local/test-files.ts'

// The last column of the design's table. `services` may import every library except the test kit.
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'libs/contracts': [],
  'libs/webm': [],
  'libs/domain': ['contracts'],
  'libs/kafka': ['contracts'],
  'libs/blob': ['contracts'],
  'libs/service': ['contracts'],
  'libs/recorder': ['contracts'],
  'libs/testkit': ['contracts', 'domain', 'webm', 'kafka', 'blob', 'service', 'recorder'],
}
const FOR_SERVICES = ['contracts', 'domain', 'webm', 'kafka', 'blob', 'service', 'recorder']
/** No I/O and no clock: time and chance come as arguments. */
const PURE = ['libs/contracts', 'libs/domain', 'libs/webm']
/** Run in browsers. */
const WITHOUT_NODE = [...PURE, 'libs/recorder']
/** The judge of results must not share the code that it judges. */
const JUDGE_MAY_NOT = { folder: 'libs/testkit', library: 'webm' }

interface SourceFile {
  path: string
  /** `libs/webm`, `services/query` */
  member: string
  text: string
  isTest: boolean
}

const files: SourceFile[] = globSync(['libs/*/{src,test}/**/*.ts', 'services/*/{src,test,pages}/**/*.ts'], { cwd: ROOT })
  .filter((path) => !path.includes('node_modules'))
  .map((path) => ({
    path,
    member: path.split('/').slice(0, 2).join('/'),
    text: readFileSync(join(ROOT, path), 'utf8'),
    isTest: path.includes('/test/'),
  }))

/** Module names of all `import`, `export … from`, `import()` and `import type` in a file; comments aside. */
function importsOf({ text }: SourceFile): string[] {
  const code = withoutComments(text)
  const forms = [/^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm, /^\s*import\s*['"]([^'"]+)['"]/gm, /\bimport\(\s*['"]([^'"]+)['"]/g]
  return forms.flatMap((form) => [...code.matchAll(form)].map((match) => match[1] as string))
}

/** Good enough for finding imports and calls: strings that hold comment signs after a space do not occur. */
function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|\s)\/\/.*$/gm, '$1')
}

function libraryOf(specifier: string): string | undefined {
  return /^@longtake\/([^/]+)/.exec(specifier)?.[1]
}

function mayImport(file: SourceFile, library: string): boolean {
  if (file.member === `libs/${library}`) return true
  // Tests may use the test kit everywhere, and whatever they drive by it.
  if (file.isTest) return FOR_SERVICES.includes(library) || library === 'testkit'
  if (file.member === JUDGE_MAY_NOT.folder && library === JUDGE_MAY_NOT.library) return false
  return (MAY_IMPORT[file.member] ?? FOR_SERVICES).includes(library)
}

function report(faults: string[]): void {
  assert.equal(faults.join('\n'), '')
}

test('the scan sees the sources and their imports', () => {
  assert.ok(files.length > 20)
  const sample: SourceFile = {
    path: '',
    member: '',
    isTest: false,
    text: "import a, {\n  b,\n} from 'one'\nimport type { c } from 'two'\nexport * from './three.ts'\nimport 'four'\nconst d = await import('five')\n// import 'six'\n/* import 'seven' */\n",
  }
  assert.deepEqual(importsOf(sample).toSorted(), ['./three.ts', 'five', 'four', 'one', 'two'])
})

test('libraries and services import only what the design allows', () => {
  const faults: string[] = []
  for (const file of files) {
    for (const specifier of importsOf(file)) {
      const library = libraryOf(specifier)
      if (library !== undefined && !mayImport(file, library)) faults.push(`${file.path} imports ${specifier}`)
      if (!specifier.startsWith('.')) continue
      const target = relative(ROOT, resolve(ROOT, dirname(file.path), specifier))
      if (!target.startsWith(`${file.member}/`)) faults.push(`${file.path} leaves its folder by ${specifier}`)
    }
  }
  report(faults)
})

test('what browsers run and what is pure imports nothing of Node', () => {
  const faults: string[] = []
  for (const file of files.filter(
    ({ member, isTest, path }) => !isTest && (WITHOUT_NODE.includes(member) || (path.includes('/pages/') && !path.endsWith('build.ts'))),
  )) {
    for (const specifier of importsOf(file)) {
      if (specifier.startsWith('node:') || builtinModules.includes(specifier)) faults.push(`${file.path} imports ${specifier}`)
    }
  }
  report(faults)
})

test('pure libraries ask neither clock nor chance', () => {
  const impure = /\bDate\.now\(|\bnew Date\(\s*\)|\bMath\.random\(|\bperformance\.now\(|\bset(?:Timeout|Interval)\(|\brandomUUID\(/
  report(
    files
      .filter(({ member, isTest }) => !isTest && PURE.includes(member))
      .flatMap((file) => (impure.test(withoutComments(file.text)) ? [`${file.path}: ${impure.exec(withoutComments(file.text))?.[0]}`] : [])),
  )
})

test('only config.ts reads the environment of a service', () => {
  const readers = files.filter(
    ({ path, member, isTest, text }) =>
      member.startsWith('services/') && !isTest && !path.endsWith('/config.ts') && /\bprocess\.env\b/.test(withoutComments(text)),
  )
  report(readers.map(({ path }) => `${path} reads process.env`))
})
