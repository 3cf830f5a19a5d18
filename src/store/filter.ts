import { isObject } from "../lib/is-object.ts";
import { limits } from "../limits.ts";
import { utf8Bytes } from "../lib/text.ts";
import { Problem } from "../problems.ts";

/** A value that a filter compares with. */
export type FilterValue = string | number | boolean | null;

export type ComparisonOperator = "$gt" | "$gte" | "$lt" | "$lte";

/**
 * A filter over metadata, checked. `path` is the field's name split at dots.
 * Logic is two-valued: a comparison with a field that is missing or of another type is false, and `$ne`, `$nin` and
 * `$not` are exact complements, so they match documents without the field.
 */
export type Filter =
  | { kind: "in"; path: readonly string[]; values: readonly FilterValue[] }
  | {
      kind: "compare";
      path: readonly string[];
      operator: ComparisonOperator;
      value: string | number;
    }
  | { kind: "exists"; path: readonly string[] }
  | { kind: "contains"; path: readonly string[]; value: FilterValue }
  | { kind: "and" | "or"; filters: readonly Filter[] }
  | { kind: "not"; filter: Filter };

const OPERATORS = "$eq $ne $in $nin $gt $gte $lt $lte $exists $contains";

/**
 * Reads `{field: value}`, `{field: {$op: value}}` and `$and`, `$or`, `$not` of those. Several fields or operators in
 * one object must all hold. @throws Problem `invalid_filter` that names the place
 */
export function parseFilter(input: unknown): Filter {
  return parseObject(input, {
    place: "filter",
    depth: 0,
    budget: { nodes: limits.filterNodesMax },
  });
}

interface Context {
  place: string;
  depth: number;
  budget: { nodes: number };
}

function parseObject(input: unknown, context: Context): Filter {
  if (context.depth > limits.filterDepthMax) {
    throw wrong(context, `is nested deeper than ${limits.filterDepthMax} levels`);
  }
  if (!isObject(input)) throw wrong(context, "must be an object");
  // Every object counts, an empty one too: each is a part of the SQL.
  if (--context.budget.nodes < 0) {
    throw wrong(context, `has more than ${limits.filterNodesMax} parts`);
  }
  const filters = Object.entries(input).map(([name, value]) => parseEntry(name, value, context));
  return conjunction(filters);
}

function parseEntry(name: string, value: unknown, context: Context): Filter {
  const inner = {
    ...context,
    depth: context.depth + 1,
    place: `${context.place}.${placeName(name)}`,
  };
  if (name === "$and" || name === "$or") {
    if (!Array.isArray(value) || value.length === 0)
      throw wrong(inner, "must be a list of filters");
    const filters = value.map((one: unknown) => parseObject(one, inner));
    return { kind: name === "$and" ? "and" : "or", filters };
  }
  if (name === "$not") return { kind: "not", filter: parseObject(value, inner) };
  if (name.startsWith("$")) throw wrong(inner, "is not one of $and, $or, $not, or a field");
  return parseField(parsePath(name, inner), value, inner);
}

function parseField(path: readonly string[], value: unknown, context: Context): Filter {
  if (!isObject(value)) return { kind: "in", path, values: [scalar(value, context)] };
  const operators = Object.entries(value);
  if (operators.length === 0) throw wrong(context, "has no operator");
  return conjunction(
    operators.map(([operator, operand]) => {
      if (--context.budget.nodes < 0)
        throw wrong(context, `has more than ${limits.filterNodesMax} parts`);
      return parseOperator(
        path,
        { operator, operand },
        { ...context, place: `${context.place}.${placeName(operator)}` },
      );
    }),
  );
}

function parseOperator(
  path: readonly string[],
  { operator, operand }: { operator: string; operand: unknown },
  context: Context,
): Filter {
  switch (operator) {
    case "$eq":
      return { kind: "in", path, values: [scalar(operand, context)] };
    case "$ne":
      return { kind: "not", filter: { kind: "in", path, values: [scalar(operand, context)] } };
    case "$in":
      return { kind: "in", path, values: scalars(operand, context) };
    case "$nin":
      return { kind: "not", filter: { kind: "in", path, values: scalars(operand, context) } };
    case "$gt":
    case "$gte":
    case "$lt":
    case "$lte":
      return { kind: "compare", path, operator, value: comparable(operand, context) };
    case "$exists":
      if (typeof operand !== "boolean") throw wrong(context, "must be true or false");
      return operand ? { kind: "exists", path } : { kind: "not", filter: { kind: "exists", path } };
    case "$contains":
      return { kind: "contains", path, value: scalar(operand, context) };
    default:
      throw wrong(context, `is not an operator; there are ${OPERATORS}`);
  }
}

/** The path of a field name, also of a facet's. @throws Problem `invalid_filter` */
export function parseFieldPath(name: string): readonly string[] {
  return parsePath(name, { place: "field", depth: 0, budget: { nodes: 0 } });
}

function parsePath(name: string, context: Context): readonly string[] {
  const path = name.split(".");
  // A quote would end the quoted key of an SQLite JSON path, which knows no escape for it.
  if (
    utf8Bytes(name) > limits.fieldPathBytesMax ||
    !name.isWellFormed() ||
    /["\\\0]/.test(name) ||
    path.includes("")
  ) {
    throw wrong(context, "is not a usable field name");
  }
  return path;
}

function scalars(value: unknown, context: Context): FilterValue[] {
  if (!Array.isArray(value) || value.length > limits.filterValuesMax) {
    throw wrong(context, `must be a list of at most ${limits.filterValuesMax} values`);
  }
  return value.map((one: unknown) => scalar(one, context));
}

function scalar(value: unknown, context: Context): FilterValue {
  if (value === null || typeof value === "boolean") return value;
  return comparable(value, context, "text, a finite number, true, false or null");
}

function comparable(
  value: unknown,
  context: Context,
  wanted = "text or a finite number",
): string | number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (typeof value === "string" && value.isWellFormed()) return value;
  throw wrong(context, `must be ${wanted}`);
}

function conjunction(filters: readonly Filter[]): Filter {
  const [first] = filters;
  return filters.length === 1 && first !== undefined ? first : { kind: "and", filters };
}

/** A name from the input, short enough and plain enough to be shown back. */
function placeName(name: string): string {
  return /^[\w$.-]{1,64}$/.test(name) ? name : "…";
}

function wrong(context: Context, sentence: string): Problem {
  const message = `${context.place} ${sentence}`;
  return new Problem("invalid_filter", `${message}.`, {
    errors: [{ field: context.place, message: sentence }],
  });
}
