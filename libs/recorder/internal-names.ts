import { ClientMessages, Declarations, ServerMessages } from '@longtake/contracts'
import { parse, type AnyNode } from 'acorn'

const WIRE_FIELDS = [ClientMessages, ServerMessages, Declarations].flatMap((messages) => Object.values(messages).flatMap(({ properties }) => Object.keys(properties)))

/**
 * Members of the library's own classes that nobody else uses, so that the minifier may shorten them. A name stays as it is where
 * it also occurs as a key of an object, as a string, on the wire, or in the public types: such a name may be stored, sent, or
 * used by callers. The minifier itself leaves out names of the DOM.
 * @param bundle JavaScript that is not minified @param publicTypes declarations
 */
export function internalNames(bundle: string, publicTypes: string): string[] {
  const members = new Set<string>()
  const others = new Set([...WIRE_FIELDS, ...(publicTypes.match(/\w+/g) ?? [])])
  for (const node of nodesOf(parse(bundle, { ecmaVersion: 'latest', sourceType: 'module' }))) {
    if (node.type === 'ClassDeclaration' || node.type === 'ClassExpression') {
      for (const member of node.body.body) if ('key' in member && member.key.type === 'Identifier' && member.key.name !== 'constructor') members.add(member.key.name)
    }
    if (node.type === 'Property' && node.key.type === 'Identifier') others.add(node.key.name)
    if (node.type === 'Literal' && typeof node.value === 'string') others.add(node.value)
  }
  return [...members].filter((name) => !others.has(name)).toSorted()
}

function* nodesOf(value: unknown): Generator<AnyNode> {
  if (typeof value !== 'object' || value === null) return
  if ('type' in value && typeof value.type === 'string') yield value as AnyNode
  for (const child of Object.values(value)) yield* nodesOf(child)
}
