const WAY_OUT = 'run this test by `npm test -- integration <path>`, or beside `node deploy/local/bootstrap.mjs infrastructure.ts`, which prints what to set'

/** `host:port` of the Kafka that integration tests share: use topics and groups of your own, named at random. */
export function testKafka(): string {
  return read('LONGTAKE_TEST_KAFKA')
}

/** Connection string of the Azurite that integration tests share: use a container of your own, named at random. */
export function testAzurite(): string {
  return read('LONGTAKE_TEST_AZURITE')
}

function read(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set: ${WAY_OUT}.`)
  return value
}
