import type { Database } from "bun:sqlite";
import { hasTable } from "./migration-record.ts";

/** Wrong rows of a table, each as a sentence. */
interface Check {
  /** Data of an older schema may not have it. */
  table: string;
  sql: string;
}

/** Sentences of one kind that are shown. */
const SHOWN_MAX = 20;

// What is past its time to be kept may be there or not; what comes after it has to be there.
const ROOMS = `SELECT 'room ' || name || ' lacks some of its publications' AS problem FROM rooms r
  WHERE (SELECT count(*) FROM publications WHERE room_key = r.key AND offset > max(floor, trimmed))
    <> head - max(floor, trimmed)
    OR EXISTS (SELECT 1 FROM publications WHERE room_key = r.key AND offset > head)
  UNION ALL
  SELECT 'room ' || name || ' knows a key of a publication that it never had' FROM rooms r
  WHERE EXISTS (SELECT 1 FROM publication_keys WHERE room_key = r.key AND offset > head)`;

const LAST = "(SELECT value FROM facts WHERE name = 'sequence')";

const CHANGES = `SELECT 'document ' || d.id || ' has no change of its own' AS problem FROM documents d
  LEFT JOIN changes c ON c.collection_key = d.collection_key AND c.document_id = d.id
  WHERE c.sequence IS NOT d.sequence OR c.kind = 'delete'
  UNION ALL
  SELECT 'change ' || sequence || ' was given no number' FROM changes WHERE sequence > ${LAST}`;

const STANDING = `SELECT 'standing query ' || query || ' is ahead of the changes' AS problem FROM standing_leaves
  WHERE max(sequence, known_from) > ${LAST}
  UNION ALL
  SELECT 'standing query ' || m.query || ' matches in another collection' FROM standing_matches m
  JOIN standing_leaves l ON l.query = m.query AND l.collection_key <> m.collection_key
  UNION ALL
  SELECT 'standing query ' || id || ' is ahead of the changes' FROM standing_queries WHERE offset > ${LAST}
  UNION ALL
  SELECT 'webhook of ' || query_id || ' is ahead of the changes' FROM webhooks WHERE offset > ${LAST}`;

const JOBS = `SELECT 'job ' || id || ' is ' || state || ' and does not say so by its time' AS problem FROM jobs
  WHERE (state IN ('queued', 'running')) <> (finished_at_ms IS NULL)
  UNION ALL
  SELECT 'job ' || id || ' counts its errors wrong' FROM jobs j
  WHERE errors < (SELECT count(*) FROM job_errors WHERE job_number = j.number)`;

const CHECKS: readonly Check[] = [
  { table: "changes", sql: CHANGES },
  { table: "rooms", sql: ROOMS },
  { table: "standing_queries", sql: STANDING },
  { table: "jobs", sql: JOBS },
];

/** What is wrong with rooms, standing queries, jobs and the log of changes, in sentences. Reads all of their rows. */
export function featureProblems(db: Database): string[] {
  return CHECKS.flatMap(({ table, sql }) => {
    if (!hasTable(db, table)) return [];
    using statement = db.prepare<{ problem: string }, [number]>(`${sql} LIMIT ?`);
    return statement.all(SHOWN_MAX).map(({ problem }) => problem);
  });
}
