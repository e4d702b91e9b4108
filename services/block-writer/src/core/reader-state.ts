import { packHeader, type PartHeader, type ReaderState } from '@longtake/webm'

/** All that a reader needs to know of a part to go on behind a hole. */
export function knownState(header: PartHeader): ReaderState {
  return {
    version: 1,
    phase: 'search',
    offset: 0,
    skip: 0,
    docType: header.docType,
    timestampScale: header.timestampScale,
    header: packHeader(header),
    earlyTracks: null,
    segmentEnd: null,
    clusterEnd: null,
    clusterStart: 0,
    clusterTicks: null,
  }
}
