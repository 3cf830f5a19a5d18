/** A JSON value. */
export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

/** What `{}` as metadata says of a filter, by the rules as they are written down and without any SQL. */
export function matches(filter: JsonObject, metadata: JsonObject): boolean {
  return Object.entries(filter).every(([name, operand]) => {
    if (name === "$and") return list(operand).every((one) => matches(object(one), metadata));
    if (name === "$or") return list(operand).some((one) => matches(object(one), metadata));
    if (name === "$not") return !matches(object(operand), metadata);
    const value = valueAt(metadata, name.split("."));
    if (!isObject(operand)) return value === operand;
    return Object.entries(operand).every(([operator, wanted]) => holds(value, operator, wanted));
  });
}

/** `value` is undefined where the document has no such field. */
function holds(value: Json | undefined, operator: string, wanted: Json): boolean {
  switch (operator) {
    case "$eq":
      return value === wanted;
    case "$ne":
      return value !== wanted;
    case "$in":
      return list(wanted).some((one) => one === value);
    case "$nin":
      return !list(wanted).some((one) => one === value);
    case "$exists":
      return (value !== undefined) === wanted;
    case "$contains":
      if (Array.isArray(value)) return value.includes(wanted);
      return typeof value === "string" && typeof wanted === "string" && value.includes(wanted);
    default: {
      const order = compare(value, wanted);
      if (order === undefined) return false;
      if (operator === "$gt") return order > 0;
      if (operator === "$gte") return order >= 0;
      if (operator === "$lt") return order < 0;
      return order <= 0;
    }
  }
}

/** Text by code point, numbers by size; undefined where the two are not of one kind. */
function compare(a: Json | undefined, b: Json): number | undefined {
  if (typeof a === "string" && typeof b === "string")
    return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
  return undefined;
}

function valueAt(metadata: JsonObject, path: readonly string[]): Json | undefined {
  let value: Json | undefined = metadata;
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function list(value: Json): Json[] {
  if (!Array.isArray(value)) throw new Error("the generator gave no list");
  return value;
}

function object(value: Json): JsonObject {
  if (!isObject(value)) throw new Error("the generator gave no object");
  return value;
}
