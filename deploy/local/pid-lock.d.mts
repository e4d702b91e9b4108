export type PidLock = { owner: number } | { owner: undefined; stale: boolean; release: () => void }
export function takePidLock(path: string, program: string): PidLock
