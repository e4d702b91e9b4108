import assert from 'node:assert/strict'
import { test } from 'node:test'
import { internalNames } from '../internal-names.ts'

const names = (bundle: string, publicTypes = ''): string[] => internalNames(bundle, publicTypes)

test('members of classes may be shortened', () => {
  const bundle = 'class Queue { static make() {} waiting = 0; #hidden = 1; constructor() {} get isEmpty() { return true } take() {} }'
  assert.deepEqual(names(bundle), ['isEmpty', 'make', 'take', 'waiting'])
})

for (const [what, bundle, publicTypes] of [
  ['is a key of an object, which may be stored', 'class A { kept() {} } store.put({ kept: 1 })', ''],
  ['is taken out of an object, which may be given', 'class A { kept() {} } const { kept } = options', ''],
  ['is a string, by which it may be read', "class A { kept() {} } use(object['kept'])", ''],
  ['is a field of the wire protocol', 'class A { windowBytes() {} }', ''],
  ['is called by users', 'class A { kept() {} }', 'export declare class A { kept(): void }'],
] as const) {
  test(`a member stays as it is whose name ${what}`, () => assert.deepEqual(names(bundle, publicTypes), []))
}
