/** What the live edge has done so far, and has now. Plain numbers: whoever exposes them reads them. */
export interface LiveCounters {
  connections: number;
  connectionsOpened: number;
  connectionsRefused: number;
  /** Ended without a close frame: by the network, or by Bun at the bound on unsent bytes. */
  connectionsLost: number;
  framesIn: number;
  /** Frames to single connections. */
  framesOut: number;
  /** Frames of rooms and queries, and how many subscribers they went to. */
  publications: number;
  deliveries: number;
  /** Cut because nothing was taken for too long, or too much waited for all. */
  slowCut: number;
  staleCut: number;
  rateCut: number;
  protocolCut: number;
  /** Handlers that failed by our own mistake. */
  failures: number;
}

export function newCounters(): LiveCounters {
  return {
    connections: 0,
    connectionsOpened: 0,
    connectionsRefused: 0,
    connectionsLost: 0,
    framesIn: 0,
    framesOut: 0,
    publications: 0,
    deliveries: 0,
    slowCut: 0,
    staleCut: 0,
    rateCut: 0,
    protocolCut: 0,
    failures: 0,
  };
}
