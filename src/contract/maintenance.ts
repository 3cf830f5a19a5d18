import { Type, type Static } from "@sinclair/typebox";

export const VerifyReportSchema = Type.Object(
  {
    ok: Type.Boolean({ description: "True where nothing is wrong" }),
    database: Type.Object({ problems: Type.Array(Type.String()) }),
    collections: Type.Array(
      Type.Object({
        name: Type.String(),
        chunks: Type.Integer(),
        vectors: Type.Integer({ description: "Found by the vector index" }),
        words: Type.Integer({ description: "Chunks found by the keyword index" }),
        problems: Type.Array(Type.String()),
      }),
    ),
    duration_ms: Type.Number(),
  },
  { title: "VerifyReport" },
);
export type VerifyReport = Static<typeof VerifyReportSchema>;

export const CompactReportSchema = Type.Object(
  {
    collections: Type.Integer(),
    segments: Type.Integer({ description: "Left in all indexes" }),
    bytes_before: Type.Integer({ description: "Of the database and the indexes" }),
    bytes_after: Type.Integer(),
    duration_ms: Type.Number(),
  },
  { title: "CompactReport" },
);
export type CompactReport = Static<typeof CompactReportSchema>;
