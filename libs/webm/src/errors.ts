/** Everything that can be wrong with a stream, or with what the library was asked to do. */
export type WebmErrorCode =
  /** An element id or size that EBML does not allow. */
  | 'invalid-element'
  /** An element above the reader's limit. */
  | 'element-too-large'
  /** An element where it may not stand. */
  | 'unexpected-element'
  /** An element that ends behind its parent. */
  | 'exceeds-parent'
  /** No EBML head of DocType webm or matroska. */
  | 'not-webm'
  /** Info or Tracks cannot be understood. */
  | 'invalid-header'
  /** A Cluster before Tracks, or a resync without a header. */
  | 'header-missing'
  /** A SimpleBlock or BlockGroup that cannot be understood. */
  | 'invalid-block'
  /** A frame of a track that the header does not name. */
  | 'unknown-track'
  /** A frame before its Cluster's Timestamp, or an impossible Timestamp. */
  | 'invalid-timestamp'
  /** The head, Info, Tracks and two cues do not fit into the header's fixed size. */
  | 'header-too-small'
  /** Bytes that were expected to be whole clusters made by `ClusterWriter`. */
  | 'not-own-cluster'
  /** Packed cues that cannot be unpacked. */
  | 'invalid-cues'
  /** A snapshot that this version cannot read. */
  | 'invalid-state';

/** The only error this library throws or reports. Repeating the call never helps, so `retryable` is false. */
export class WebmError extends Error {
  override readonly name = 'WebmError';
  readonly retryable = false;
  readonly code: WebmErrorCode;
  /** Byte offset in the stream or array that was read; null where there is none. */
  readonly offset: number | null;

  constructor(code: WebmErrorCode, message: string, offset: number | null = null, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.offset = offset;
  }
}
