import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where things are kept that every checkout shares: `$XDG_CACHE_HOME/longtake`, else `~/.cache/longtake`. */
export function cacheDir(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'longtake')
}
