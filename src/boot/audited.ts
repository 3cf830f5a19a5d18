import { join } from "node:path";
import type { Collections } from "../collections/collections.ts";
import type { Config } from "../config.ts";
import type { Documents } from "../documents/documents.ts";
import type { Backups } from "../maintenance/backups.ts";
import type { Rooms } from "../rooms/rooms.ts";
import { openAuditLog, type AuditLog } from "../telemetry/audit-log.ts";
import { getLogger, outsideRequests } from "../telemetry/logs.ts";

const log = getLogger("boot");

type Write = AuditLog["write"];

/** The audit log where the settings say, or with the data. */
export function openAudit({ auditLog, dataDir }: Pick<Config, "auditLog" | "dataDir">): AuditLog {
  const folder = auditLog ?? join(dataDir, "audit");
  return openAuditLog({ folder, onLost: tellLost });
}

function tellLost(lines: number): void {
  outsideRequests(() => log.error("audit.dropped", { lines }));
}

/** Collections whose making, changes and ends are written into the audit log. */
export function auditedCollections(collections: Collections, write: Write): Collections {
  return {
    ...collections,
    async create(input) {
      const state = await collections.create(input);
      write("collection.created", { collection: state.name, model: state.model });
      return state;
    },
    async setFusion(row, fusion) {
      const state = await collections.setFusion(row, fusion);
      write("collection.changed", { collection: row.name, fusion: state.fusion });
      return state;
    },
    async drop(row) {
      await collections.drop(row);
      write("collection.dropped", { collection: row.name });
    },
    async putAlias(name, collection) {
      const alias = await collections.putAlias(name, collection);
      write("alias.set", { alias: name, collection: alias.collection });
      return alias;
    },
    async removeAlias(name) {
      await collections.removeAlias(name);
      write("alias.removed", { alias: name });
    },
  };
}

/** Documents whose deletion by a filter is written into the audit log, without the filter, which has a user's words. */
export function auditedDocuments(documents: Documents, write: Write): Documents {
  return {
    ...documents,
    async deleteMatching(collection, filter) {
      const deleted = await documents.deleteMatching(collection, filter);
      write("documents.deleted", { collection: collection.name, by: "filter", deleted });
      return deleted;
    },
  };
}

/** Rooms whose settings and ends are written into the audit log. */
export function auditedRooms(rooms: Rooms, write: Write): Rooms {
  return {
    ...rooms,
    async configure(room, settings) {
      const state = await rooms.configure(room, settings);
      const { history_messages, history_seconds } = state;
      write("room.configured", { room, history_messages, history_seconds });
      return state;
    },
    async remove(room) {
      const isRemoved = await rooms.remove(room);
      if (isRemoved) write("room.removed", { room });
      return isRemoved;
    },
  };
}

/** Backups whose making and removal are written into the audit log. */
export function auditedBackups(backups: Backups, write: Write): Backups {
  return {
    ...backups,
    async make(options) {
      const job = await backups.make(options);
      write("backup.asked", { job_id: job.id });
      return job;
    },
    async remove(name) {
      await backups.remove(name);
      write("backup.removed", { backup: name });
    },
  };
}
