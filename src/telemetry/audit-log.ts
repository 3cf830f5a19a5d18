import { join } from "node:path";
import { limits } from "../limits.ts";
import { LineSink } from "./line-sink.ts";
import { LogFile } from "./log-file.ts";
import { currentContext } from "./logs.ts";
import { sanitizeSensitiveData } from "./redaction.ts";

const DAY_MS = 24 * 60 * 60_000;

/** What was done to the data, or to who may do it, that somebody may ask about later. */
export type AuditEvent =
  | "alias.removed"
  | "alias.set"
  | "backup.asked"
  | "backup.removed"
  | "backup.restored"
  | "collection.created"
  | "collection.changed"
  | "collection.dropped"
  | "documents.deleted"
  | "room.configured"
  | "room.removed";

/** The lines that outlive the log: a file of JSON Lines a day, only ever added to. */
export interface AuditLog extends AsyncDisposable {
  /** Adds a line with the time and the id of the request or job that runs. Never waits and never throws. */
  write: (event: AuditEvent, fields: Readonly<Record<string, unknown>>) => void;
  /** Resolves when all lines are written, or could not be. */
  flush(): Promise<void>;
  /** Lines lost so far. */
  readonly dropped: number;
}

export interface AuditLogOptions {
  folder: string;
  /** Milliseconds since 1970; the machine's clock by default. */
  nowMs?: () => number;
  /** Is told of lines that were lost, once others can be written again. */
  onLost?: (lines: number) => void;
}

export function openAuditLog({ folder, nowMs = Date.now, onLost }: AuditLogOptions): AuditLog {
  const file = new LogFile({
    path: () => join(folder, `audit-${new Date(nowMs()).toISOString().slice(0, 10)}.jsonl`),
    isOurs: (name) => /^audit-\d{4}-\d\d-\d\d\.jsonl/.test(name),
    bytesMax: limits.auditFileBytesMax,
    outdated: (files) =>
      files.filter(({ writtenAtMs }) => writtenAtMs < nowMs() - limits.auditDaysKept * DAY_MS),
  });
  const sink = new LineSink(file, onLost === undefined ? {} : { onLost });
  return {
    write(event, fields) {
      const { request_id = null, job_id } = currentContext();
      const timestamp = new Date(nowMs()).toISOString();
      const job = job_id === undefined ? {} : { job_id };
      const line = { timestamp, event, request_id, ...job, ...sanitizeSensitiveData(fields) };
      sink.push(`${JSON.stringify(line)}\n`);
    },
    flush: () => sink.flush(),
    get dropped() {
      return sink.dropped;
    },
    [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
  };
}
