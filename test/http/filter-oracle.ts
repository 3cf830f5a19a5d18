import fc from "fast-check";

/** What a filter means, written once more and apart from the server: plain JavaScript over the metadata. */

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** True if a document with this metadata matches the filter, which must be a valid one. */
export function matches(metadata: unknown, filter: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(filter).every(([name, condition]) => {
    if (name === "$and") return filtersOf(condition).every((one) => matches(metadata, one));
    if (name === "$or") return filtersOf(condition).some((one) => matches(metadata, one));
    if (name === "$not") return isObject(condition) && !matches(metadata, condition);
    const value = valueAt(metadata, name.split("."));
    if (!isObject(condition)) return equal(value, condition);
    return Object.entries(condition).every(([operator, operand]) =>
      holds(value, operator, operand),
    );
  });
}

/** A field that is missing is undefined, which equals nothing, is in no order and contains nothing. */
function holds(value: unknown, operator: string, operand: unknown): boolean {
  switch (operator) {
    case "$eq":
      return equal(value, operand);
    case "$ne":
      return !equal(value, operand);
    case "$in":
      return Array.isArray(operand) && operand.some((one) => equal(value, one));
    case "$nin":
      return Array.isArray(operand) && !operand.some((one) => equal(value, one));
    case "$exists":
      return (value !== undefined) === operand;
    case "$contains":
      if (Array.isArray(value)) return value.some((one) => equal(one, operand));
      return typeof value === "string" && typeof operand === "string" && value.includes(operand);
    default: {
      const order = compare(value, operand);
      if (order === undefined) return false;
      if (operator === "$gt") return order > 0;
      if (operator === "$gte") return order >= 0;
      return operator === "$lt" ? order < 0 : order <= 0;
    }
  }
}

/** Numbers by size, texts by code point; anything else, and unlike types, have no order. */
function compare(value: unknown, operand: unknown): number | undefined {
  if (typeof value === "number" && typeof operand === "number") return value - operand;
  if (typeof value === "string" && typeof operand === "string") {
    return Buffer.compare(Buffer.from(value), Buffer.from(operand));
  }
  return undefined;
}

function equal(value: unknown, wanted: unknown): boolean {
  return typeof wanted !== "object" || wanted === null ? value === wanted : false;
}

function valueAt(metadata: unknown, path: readonly string[]): unknown {
  let value = metadata;
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

function filtersOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Few names and few values, so that documents and filters meet; odd ones, so that they meet where it hurts. */
const NAMES = [
  "team",
  "lap",
  "tags",
  "drapé",
  "🏁",
  "two words",
  "tab\there",
  "o'clock",
  "a[0]",
  "in$ide",
  "constructor",
  "0",
];
const TEXTS = [
  "",
  "1",
  "true",
  "null",
  "red",
  "Red",
  "redder",
  "é",
  "e\u0301",
  "～",
  "🏁",
  'say "hi"',
  "back\\slash",
  "new\nline",
  "%",
  "_",
];
const NUMBERS = [0, 1, -1, 1.5, 2, 10, 0.1, 1e21, 1e-7, 2 ** 53, 2 ** 53 - 1, -(2 ** 63), 1.7e308];

const name = fc.constantFrom(...NAMES);
const scalar: fc.Arbitrary<Json> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...TEXTS) },
  { weight: 4, arbitrary: fc.constantFrom(...NUMBERS) },
  { weight: 3, arbitrary: fc.constantFrom(null, true, false) },
);

/** Metadata of five to ten fields: values, lists, and objects two levels down. */
export const metadataArbitrary = fc.dictionary(
  name,
  fc.oneof(
    { weight: 6, arbitrary: scalar },
    {
      weight: 3,
      arbitrary: fc.array(fc.oneof(scalar, fc.array(scalar, { maxLength: 2 })), { maxLength: 4 }),
    },
    {
      weight: 3,
      arbitrary: fc.dictionary(
        name,
        fc.oneof(scalar, fc.dictionary(name, scalar, { maxKeys: 3 })),
        { maxKeys: 4 },
      ),
    },
  ),
  { minKeys: 5, maxKeys: 10 },
);

const path = fc
  .tuple(name, fc.oneof({ weight: 5, arbitrary: fc.constant("") }, { weight: 1, arbitrary: name }))
  .map(([first, second]) => (second === "" ? first : `${first}.${second}`));

const comparable = fc.oneof(fc.constantFrom(...TEXTS), fc.constantFrom(...NUMBERS));
const operation: fc.Arbitrary<Record<string, Json>> = fc.oneof(
  fc.tuple(fc.constantFrom("$eq", "$ne", "$contains"), scalar).map(toObject),
  fc.tuple(fc.constantFrom("$in", "$nin"), fc.array(scalar, { maxLength: 8 })).map(toObject),
  fc.tuple(fc.constantFrom("$gt", "$gte", "$lt", "$lte"), comparable).map(toObject),
  fc.tuple(fc.constant("$exists"), fc.boolean()).map(toObject),
);
const condition: fc.Arbitrary<Json> = fc.oneof(
  { weight: 1, arbitrary: scalar },
  { weight: 6, arbitrary: operation },
  {
    weight: 1,
    arbitrary: fc.tuple(operation, operation).map(([one, two]) => ({ ...one, ...two })),
  },
);
const fields = fc.oneof(
  { weight: 12, arbitrary: fc.dictionary(path, condition, { minKeys: 1, maxKeys: 1 }) },
  { weight: 4, arbitrary: fc.dictionary(path, condition, { minKeys: 2, maxKeys: 2 }) },
  { weight: 1, arbitrary: fc.constant({}) },
);

/** Every operator, alone and under `$and`, `$or` and `$not`, three levels down. */
export const filterArbitrary: fc.Arbitrary<Record<string, unknown>> = fc.letrec<{
  filter: Record<string, unknown>;
}>((tie) => ({
  filter: fc.oneof(
    { depthSize: "small", withCrossShrink: true, maxDepth: 3 },
    { weight: 5, arbitrary: fields },
    {
      weight: 1,
      arbitrary: fc.array(tie("filter"), { minLength: 1, maxLength: 3 }).map(($and) => ({ $and })),
    },
    {
      weight: 2,
      arbitrary: fc.array(tie("filter"), { minLength: 1, maxLength: 3 }).map(($or) => ({ $or })),
    },
    { weight: 2, arbitrary: tie("filter").map(($not) => ({ $not })) },
    {
      weight: 1,
      arbitrary: fc.tuple(fields, tie("filter")).map(([one, $not]) => ({ ...one, $not })),
    },
  ),
})).filter;

function toObject([key, value]: [string, Json]): Record<string, Json> {
  return { [key]: value };
}
