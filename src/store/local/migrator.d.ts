import type { Database } from "bun:sqlite";

export interface Migration {
  version: number;
  up: string[];
  down: string;
}

/** Steps up or down to `target`, each step in a transaction of its own; `user_version` keeps count. */
export function migrate(db: Database, migrations: Migration[], target?: number): void;

/** `PRAGMA user_version`. */
export function getDatabaseVersion(db: Database): number;
