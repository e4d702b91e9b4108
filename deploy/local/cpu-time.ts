import { readFileSync } from 'node:fs'

/** Of `/proc/<pid>/stat` (proc_pid_stat(5)): fixed at 100 per second for user space, on every Linux of these architectures. */
const MS_PER_TICK = 10

/** CPU time that the process has used so far, in ms; undefined where there is no `/proc` (macOS) or no such process. */
export function cpuTimeMs(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field, the name in parentheses, may hold spaces; utime and stime are the 14th and 15th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK
  } catch {
    return undefined
  }
}
