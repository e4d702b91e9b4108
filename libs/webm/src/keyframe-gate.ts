import type { Frame } from './blocks.ts';
import type { PartHeader } from './tracks.ts';

/** Tracks of which no frame passes before the next keyframe, as JSON. */
export interface KeyframeGateState {
  readonly waiting: readonly number[];
}

/**
 * Holds video back until its next keyframe, because delta frames behind a hole are a fatal decode error in Chrome.
 * Audio always passes. Works on the part's own track numbers.
 */
export class KeyframeGate {
  readonly #video: ReadonlySet<number>;
  readonly #waiting: Set<number>;

  /** Starts closed, so that a part begins with a keyframe, unless resumed from a state. */
  constructor(header: PartHeader, state?: KeyframeGateState) {
    this.#video = new Set(header.tracks.filter((track) => track.type === 'video').map((track) => track.number));
    this.#waiting = new Set(state?.waiting ?? this.#video);
  }

  /** Call at every hole, and at `damage` and `resynced` items; with a track where only that one lacks frames. */
  close(only?: number): void {
    for (const track of this.#video) if (only === undefined || only === track) this.#waiting.add(track);
  }

  /** Whether this frame belongs into the file; call once per frame, in order. False: it is dropped, count it. */
  admits(frame: Frame): boolean {
    if (!this.#waiting.has(frame.track)) return true;
    if (!frame.key) return false;
    this.#waiting.delete(frame.track);
    return true;
  }

  state(): KeyframeGateState {
    return { waiting: [...this.#waiting] };
  }
}
