import type { Manifest, PublicSession } from '@longtake/contracts'

export interface Download {
  status: PublicSession
  manifest?: Manifest
  /** By track, in the order of the status. */
  files: Record<string, Uint8Array[]>
}

/**
 * Fetches what a session's clients can see of it: the status, the manifest once it is finalized, and every file.
 * `url`: the query service's; `token`: for `Authorization: Bearer`. Rejects on any answer that is no success.
 */
export async function downloadSession(url: string, session: string, token: string): Promise<Download> {
  const get = async (path: string): Promise<Response> => {
    const address = new URL(path, url)
    const response = await fetch(address, { headers: { authorization: `Bearer ${token}` } })
    if (!response.ok) throw new Error(`GET ${address.pathname} answered ${response.status}: ${(await response.text()).slice(0, 500)}`)
    return response
  }
  const status = (await (await get(`/v1/sessions/${session}`)).json()) as PublicSession
  const files: Record<string, Uint8Array[]> = {}
  for (const [track, told] of Object.entries(status.tracks)) {
    files[track] = []
    for (const file of told.files) files[track].push(new Uint8Array(await (await get(file.url)).arrayBuffer()))
  }
  if (status.finalizedVersion === 0) return { status, files }
  const manifest = (await (await get(`/v1/sessions/${session}/manifest`)).json()) as Manifest
  return { status, manifest, files }
}
