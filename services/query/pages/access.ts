/** What opens the API for this page, taken from the address's fragment: `#key=…` (local use) or `#token=…`. */
export function accessFromFragment(): string | null {
  const fragment = new URLSearchParams(location.hash.slice(1))
  return fragment.get('token') ?? fragment.get('key')
}

export async function api<T>(path: string, access: string, init: Omit<RequestInit, 'headers'> & { headers?: Record<string, string> } = {}): Promise<T> {
  const response = await fetch(path, { ...init, headers: { ...init.headers, authorization: `Bearer ${access}` } })
  if (!response.ok) {
    const problem = (await response.json().catch(() => ({}))) as { code?: string; detail?: string }
    throw new ApiError(response.status, problem.code ?? 'UNKNOWN', problem.detail ?? response.statusText)
  }
  return (await response.json()) as T
}

export class ApiError extends Error {
  readonly status: number
  readonly code: string
  constructor(status: number, code: string, detail: string) {
    super(`${code}: ${detail}`)
    this.status = status
    this.code = code
  }
}

/** Message of a thrown value. Pages are served without a bundler, so they cannot import that of the contracts. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown))

export function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id)
  if (found instanceof type) return found
  throw new Error(`the page has no ${type.name} #${id}`)
}

/** 83 500 → `1:23` */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  const two = (n: number): string => String(n).padStart(2, '0')
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}

export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(0)} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}
