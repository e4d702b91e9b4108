import type { CreateSessionResponse } from '@longtake/contracts'
import { api } from './access.ts'

/** A new session, or fresh tokens of one that exists. */
export function openSession(key: string, id?: string): Promise<CreateSessionResponse> {
  return api<CreateSessionResponse>('/v1/sessions', key, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(id === undefined ? {} : { id }),
  })
}
