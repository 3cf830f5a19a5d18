import { Type, type Static } from "@sinclair/typebox";

const IntegerOrNull = Type.Union([Type.Integer(), Type.Null()]);

/** A copy of the data. What is null was not written down when it was made. */
export const BackupSchema = Type.Object(
  {
    name: Type.String({ description: "In `backups` of the data directory" }),
    created_at: Type.String(),
    bytes: Type.Integer(),
    made_by: Type.Union([Type.Literal("request"), Type.Literal("migration")]),
    sha256: Type.Union([Type.String(), Type.Null()], {
      description: "Of the file, which was opened and checked when it was made",
    }),
    schema: IntegerOrNull,
    collections: IntegerOrNull,
    documents: IntegerOrNull,
  },
  { title: "Backup" },
);
export type BackupDescription = Static<typeof BackupSchema>;

export const BackupParamsSchema = Type.Object({
  backup: Type.String({ minLength: 1, maxLength: 128 }),
});
