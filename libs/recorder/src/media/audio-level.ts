export interface AudioLevel {
  /** Root mean square of the samples, 0 to 1: how loud it is. In decibels: `20 * Math.log10(rms)`. */
  rms: number
  /** Largest sample, 0 to 1; at 1 the signal is clipped. */
  peak: number
}

/** @param samples from -1 to 1 */
export function levelOf(samples: Float32Array): AudioLevel {
  let [squares, peak] = [0, 0]
  for (const sample of samples) {
    squares += sample * sample
    peak = Math.max(peak, Math.abs(sample))
  }
  return { rms: samples.length === 0 ? 0 : Math.sqrt(squares / samples.length), peak }
}
