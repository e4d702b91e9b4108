/** The services in the order in which they are stopped: who takes in data first, who only shows it last. */
export const SERVICES = ['gateway', 'block-writer', 'completeness', 'finalizer', 'remuxer', 'query'] as const
export type ServiceName = (typeof SERVICES)[number]

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
