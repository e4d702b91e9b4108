/**
 * The services that receive data stop first, so that the others process all of it. The last three are independent of
 * each other and stop together, so that a slow one does not use up the time of the others.
 */
export const STOP_ORDER = [['gateway'], ['block-writer'], ['completeness'], ['finalizer', 'remuxer', 'query']] as const
export type ServiceName = (typeof STOP_ORDER)[number][number]
export const SERVICES: readonly ServiceName[] = STOP_ORDER.flat()

/** Where each service's `/readyz` and `/metrics` are by default. */
export const HEALTH_PORTS: Readonly<Record<ServiceName, number>> = {
  gateway: 9101,
  'block-writer': 9102,
  completeness: 9103,
  finalizer: 9104,
  remuxer: 9105,
  query: 9106,
}

/** The variable that sets it. */
export function healthPortVariable(service: ServiceName): string {
  return `LONGTAKE_${service.toUpperCase().replaceAll('-', '_')}_HEALTH_PORT`
}

/**
 * Of glibc's allocator; other allocators ignore it. block-writer takes and frees media of all sizes: with a threshold that grows by itself,
 * as is the default, freed buffers of megabytes stay in the heap between small ones that live longer (services/block-writer/README.md).
 */
const RETURN_MEMORY = { MALLOC_MMAP_THRESHOLD_: '32768', MALLOC_TRIM_THRESHOLD_: '131072' } as const

/** What a service needs in its environment before it starts. */
export function allocatorEnv(service: ServiceName): Readonly<Record<string, string>> {
  return service === 'block-writer' ? RETURN_MEMORY : {}
}
