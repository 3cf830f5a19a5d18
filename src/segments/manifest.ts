import { Type, type Static } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { hashText, readIfThere, replaceFile } from "./files.ts";

const StoredFileSchema = Type.Object({
  /** Name in the index's folder: the hash of its content and its role. */
  name: Type.String({ pattern: "^[0-9a-f]{16}\\.[a-z]+$" }),
  bytes: Type.Integer({ minimum: 0 }),
  hash: Type.String({ pattern: "^[0-9a-f]{16}$" }),
});

const StoredSegmentSchema = Type.Object({
  rows: Type.Integer({ minimum: 0 }),
  files: Type.Record(Type.String(), StoredFileSchema),
  /** Bits of the dead rows, base64. */
  dead: Type.String(),
});

const ManifestSchema = Type.Object({
  format: Type.Literal(1),
  /** Life of the database that the segments were made from. */
  epoch: Type.String(),
  facts: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()])),
  /** Every change up to this number is in the segments. */
  sequence: Type.Integer({ minimum: 0 }),
  segments: Type.Array(StoredSegmentSchema),
});

/** A file of a sealed segment. */
export type StoredFile = Static<typeof StoredFileSchema>;

/** A sealed segment as the manifest has it. */
export type StoredSegment = Static<typeof StoredSegmentSchema>;

/** What an index consists of on disk. Files that are not in it belong to nobody. */
export type Manifest = Static<typeof ManifestSchema>;

export const MANIFEST_NAME = "manifest.json";

/** Writes the manifest, as it is at the call, with its hash. Resolves when it and all it names are on the disk. */
export function writeManifest(path: string, manifest: Manifest): Promise<void> {
  const text = JSON.stringify(manifest);
  return replaceFile(path, `${text}\n${hashText(text)}\n`);
}

/** The manifest, `missing` where there is none, or `damaged`: torn, changed, or of another format. */
export function readManifest(path: string): Manifest | "missing" | "damaged" {
  const content = readIfThere(path);
  if (content === undefined) return "missing";
  const [text = "", hash] = content.split("\n");
  if (hash !== hashText(text)) return "damaged";
  const value: unknown = JSON.parse(text);
  return Value.Check(ManifestSchema, value) ? value : "damaged";
}
