import { limits } from "../../limits.ts";
import type { DocumentWrite } from "../store.ts";
import type { PackedWrites, ValuesOf, WriterCall } from "./writer-messages.ts";

/** A document whose vector is elsewhere. */
type Packed = Omit<DocumentWrite, "vector"> & { vector?: number | undefined };
type PackedCall = [id: number, collectionKey: number, documents: readonly Packed[]];

/**
 * Puts calls into one text and one array of numbers: a structured clone walks every small object by itself, and takes
 * twice as long with 16 documents that have a vector each. Undefined where some call does something else, or has a text
 * so long that copying it is quicker than writing it as JSON.
 */
export function packWrites(calls: readonly WriterCall<unknown>[]): PackedWrites | undefined {
  if (calls.some(({ method }) => method !== "writeDocuments")) return undefined;
  const writes = calls.map(toWrite);
  const all = writes.flatMap(({ documents }) => documents);
  if (all.some(({ text }) => (text?.length ?? 0) > limits.packedTextCharactersMax))
    return undefined;
  const vectors = new Float32Array(all.reduce((sum, { vector }) => sum + (vector?.length ?? 0), 0));
  let at = 0;
  const pack = ({ vector, ...document }: DocumentWrite): Packed => {
    if (vector === undefined) return document;
    vectors.set(vector, at);
    at += vector.length;
    return { ...document, vector: vector.length };
  };
  const packed = writes.map(({ id, collectionKey, documents }): PackedCall => [
    id,
    collectionKey,
    documents.map(pack),
  ]);
  return { kind: "packed", text: JSON.stringify(packed), vectors };
}

/** The calls again, with views of the numbers as vectors. */
export function unpackWrites({ text, vectors }: PackedWrites): WriterCall<never>[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `packWrites` made it
  const packed = JSON.parse(text) as PackedCall[];
  let at = 0;
  const unpack = ({ vector, ...document }: Packed): DocumentWrite => {
    if (vector === undefined) return document;
    at += vector;
    return { ...document, vector: vectors.subarray(at - vector, at) };
  };
  return packed.map(([id, collectionKey, documents]) => {
    const values: ValuesOf<"writeDocuments"> = [collectionKey, documents.map(unpack)];
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as whoever receives a call has it: the method takes them
    return { id, method: "writeDocuments", values: values as never };
  });
}

function toWrite({ id, values }: WriterCall<unknown>) {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the method is called with
  const [collectionKey, documents] = values as ValuesOf<"writeDocuments">;
  return { id, collectionKey, documents };
}
