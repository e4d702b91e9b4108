import bcd, { type CompatStatement, type Identifier, type SimpleSupportStatement, type SupportStatement } from '@mdn/browser-compat-data' with { type: 'json' }
import { parse, type AnyNode, type CallExpression, type MemberExpression } from 'acorn'

/** The oldest supported version of each browser, by MDN's names: `{ chrome: '110' }`. */
export type Targets = Readonly<Record<string, string>>

/**
 * Web APIs that a module uses unconditionally although a target lacks them, by MDN's compatibility data: `URL.canParse: safari 17 (wanted: 16.4)`.
 * Behind `?.`, and as a global that is asked for by `typeof` anywhere, it is used only where it exists. Of a method whose object is not a global by
 * name, only what no interface at all offers in time is found. The language itself is the business of the compiler's `lib`.
 */
export function missingApis(script: string, targets: Targets): string[] {
  const { globals, methods } = usedNames(script)
  const used = [
    ...[...globals].map((path) => ({ path, statements: statementsOf(path) })),
    ...[...methods].map((name) => ({ path: `.${name}()`, statements: STATEMENTS_BY_MEMBER.get(name) ?? [] })),
  ]
  return used.flatMap(({ path, statements }) => missingIn(path, statements, targets)).toSorted()
}

function missingIn(path: string, statements: readonly CompatStatement[], targets: Targets): string[] {
  if (statements.length === 0) return []
  return Object.entries(targets).flatMap(([browser, wanted]) => {
    const since = earliestOf(statements.flatMap(({ support }) => versionsOf(support[browser as keyof typeof support])))
    return since !== undefined && compareVersions(since, wanted) <= 0 ? [] : [`${path}: ${browser} ${since ?? 'never'} (wanted: ${wanted})`]
  })
}

/** @returns since when it has been there under this name; notes on differences count as there */
function versionsOf(support: SupportStatement | undefined): string[] {
  const statements: SimpleSupportStatement[] = support === undefined ? [] : Array.isArray(support) ? support : [support as SimpleSupportStatement]
  const replaced = statements.map(({ version_added }) => version_added)
  return statements
    .filter(({ flags, prefix, alternative_name }) => [flags, prefix, alternative_name].every((each) => each === undefined))
    .filter(({ version_removed }) => version_removed === undefined || replaced.includes(version_removed))
    .flatMap(({ version_added }) => (typeof version_added === 'string' && version_added !== 'preview' ? [version_added.replace('≤', '')] : []))
}

const earliestOf = (versions: string[]): string | undefined => versions.toSorted(compareVersions)[0]

function compareVersions(a: string, b: string): number {
  const [[aMajor = 0, aMinor = 0], [bMajor = 0, bMinor = 0]] = [a.split('.').map(Number), b.split('.').map(Number)]
  return aMajor - bMajor || aMinor - bMinor
}

/** Of interfaces whose only object is a global. */
const INTERFACES: Readonly<Record<string, string>> = {
  navigator: 'Navigator',
  document: 'Document',
  performance: 'Performance',
  crypto: 'Crypto',
  indexedDB: 'IDBFactory',
  localStorage: 'Storage',
  sessionStorage: 'Storage',
}

/** @returns none where the name is not one of the platform's */
function statementsOf(path: string): CompatStatement[] {
  const [object, member] = path.split('.') as [string, string?]
  const holder: Identifier | undefined = bcd.api[INTERFACES[object] ?? object]
  const found = member === undefined ? (holder ?? bcd.api['Window']?.[object]) : (holder?.[`${member}_static`] ?? holder?.[member])
  return found?.__compat === undefined ? [] : [found.__compat]
}

const STATEMENTS_BY_MEMBER = new Map<string, CompatStatement[]>()
for (const [name, entry] of Object.entries({ ...bcd.api, ...bcd.javascript.builtins })) {
  if (name === '__compat') continue
  for (const [member, { __compat }] of Object.entries(entry as Record<string, Identifier>)) {
    const key = member.replace('_static', '')
    if (__compat !== undefined) STATEMENTS_BY_MEMBER.set(key, [...(STATEMENTS_BY_MEMBER.get(key) ?? []), __compat])
  }
}

/** Globals, with the member that is asked of them, and methods of anything else that the module does not define itself. */
function usedNames(script: string): { globals: Set<string>; methods: Set<string> } {
  const [own, guarded, globals, methods] = [new Set<string>(), new Set<string>(), new Set<string>(), new Set<string>()]
  const isExplained = (path: string): boolean => own.has(path) || guarded.has(path.split('.')[0]!)
  visit(parse(script, { ecmaVersion: 'latest', sourceType: 'module' }), (node, parent) => {
    if (node.type === 'UnaryExpression' && node.operator === 'typeof' && node.argument.type === 'Identifier') guarded.add(node.argument.name)
    for (const name of definedBy(node)) own.add(name)
    if (isReference(node, parent)) globals.add(node.name)
    if (node.type !== 'MemberExpression' || node.computed || node.property.type !== 'Identifier' || isOptional(node, parent)) return
    if (node.object.type === 'Identifier' && statementsOf(node.object.name).length > 0) globals.add(`${node.object.name}.${node.property.name}`)
    else if (parent?.type === 'CallExpression' && (parent as CallExpression).callee === node) methods.add(node.property.name)
  })
  return { globals: new Set([...globals].filter((path) => !isExplained(path))), methods: new Set([...methods].filter((name) => !isExplained(name))) }
}

/** Names that the module itself gives, whatever their scope: one that is used both for its own and for the platform's is rare. */
function definedBy(node: AnyNode): string[] {
  switch (node.type) {
    case 'MethodDefinition':
    case 'PropertyDefinition':
    case 'Property':
      return node.key.type === 'Identifier' ? [node.key.name] : []
    case 'VariableDeclarator':
      return node.id.type === 'Identifier' ? [node.id.name] : []
    case 'ClassDeclaration':
    case 'FunctionDeclaration':
      return node.id === null ? [] : [node.id.name]
    default:
      return []
  }
}

/** `a?.b`, and `a.b` in `a.b?.c` and `a.b?.()`. */
function isOptional(node: MemberExpression, parent: AnyNode | undefined): boolean {
  return node.optional || ((parent?.type === 'MemberExpression' || parent?.type === 'CallExpression') && parent.optional)
}

/** Whether the name stands for a value. */
function isReference(node: AnyNode, parent: AnyNode | undefined): node is Extract<AnyNode, { type: 'Identifier' }> {
  if (node.type !== 'Identifier' || parent === undefined) return false
  if (parent.type === 'MemberExpression') return parent.object === node || parent.computed
  if (parent.type === 'Property' || parent.type === 'MethodDefinition' || parent.type === 'PropertyDefinition') return parent.value === node
  return ['NewExpression', 'CallExpression', 'ClassDeclaration', 'BinaryExpression', 'ConditionalExpression'].includes(parent.type)
}

function visit(node: AnyNode, see: (node: AnyNode, parent: AnyNode | undefined) => void, parent?: AnyNode): void {
  see(node, parent)
  for (const value of Object.values(node) as unknown[]) {
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (typeof child === 'object' && child !== null && 'type' in child) visit(child as AnyNode, see, node)
    }
  }
}
