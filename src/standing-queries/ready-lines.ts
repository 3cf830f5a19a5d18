/** What can be sent, by hosts that take turns; so much at once, and so much to one host. */
export interface ReadyLines<Line> {
  add(line: Line): void;
  /** One that may be sent now; undefined where none may. */
  take(): Line | undefined;
  /** What was taken is over. */
  done(line: Line): void;
  /** One that was added and not taken. */
  remove(line: Line): void;
}

export function createReadyLines<Line extends { readonly host: string }>({
  max,
  perHostMax,
}: {
  max: number;
  perHostMax: number;
}): ReadyLines<Line> {
  const ready = new Map<string, Set<Line>>();
  const sending = new Map<string, number>();
  let total = 0;
  const remove = (line: Line): void => {
    const ofHost = ready.get(line.host);
    ofHost?.delete(line);
    if (ofHost?.size === 0) ready.delete(line.host);
  };
  return {
    add(line) {
      ready.set(line.host, (ready.get(line.host) ?? new Set()).add(line));
    },
    take() {
      if (total >= max) return undefined;
      // Hosts that have all they may are few: as many as `max` has room for.
      for (const [host, ofHost] of ready) {
        const count = sending.get(host) ?? 0;
        const [line] = ofHost;
        if (count >= perHostMax || line === undefined) continue;
        remove(line);
        // Its host is the last one now.
        if (ready.delete(host)) ready.set(host, ofHost);
        sending.set(host, count + 1);
        total++;
        return line;
      }
      return undefined;
    },
    done({ host }) {
      total--;
      const count = (sending.get(host) ?? 0) - 1;
      if (count > 0) sending.set(host, count);
      else sending.delete(host);
    },
    remove,
  };
}
