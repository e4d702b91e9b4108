import type { Addresses } from './deps.ts'

/** Public addresses as clients see them; tokens are never part of them. */
export function publicAddresses({ publicUrl, gatewayPublicUrl }: { publicUrl: string; gatewayPublicUrl: string }): Addresses {
  const sessionUrl = (session: string): string => `${publicUrl}/v1/sessions/${session}`
  return {
    ingest: (session) => `${gatewayPublicUrl}/v1/ingest/${session}`,
    watch: (session) => `${publicUrl}/watch/${session}`,
    file: (session, track, file, generation) => `${sessionUrl(session)}/tracks/${track}?${file === 0 ? '' : `file=${file}&`}v=${generation}`,
    rendition: (session, track, kind, file) => `${sessionUrl(session)}/tracks/${track}/${kind}${file === 0 ? '' : `?file=${file}`}`,
  }
}
