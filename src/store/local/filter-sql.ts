import type { Filter, FilterValue } from "../filter.ts";

/** An SQL condition over `d.metadata` and the values of its `?`, in order. */
export interface SqlCondition {
  sql: string;
  values: (string | number)[];
}

/**
 * Numbers are compared as the doubles that JSON means: SQLite would keep a whole number past 2^53 exact, which the
 * number it is compared with is not.
 */
const asReal = (sql: string): string => `CAST(${sql} AS REAL)`;

const NUMBER_TYPES = "('integer', 'real')";

/** A filter as SQL that is 0 or 1 and never NULL, so that NOT is an exact complement. */
export function filterSql(filter: Filter): SqlCondition {
  switch (filter.kind) {
    case "and":
    case "or":
      return joined(filter.filters.map(filterSql), filter.kind === "and" ? " AND " : " OR ");
    case "not": {
      const inner = filterSql(filter.filter);
      return { sql: `NOT ${inner.sql}`, values: inner.values };
    }
    case "exists":
      return { sql: "(json_type(d.metadata, ?) IS NOT NULL)", values: [jsonPath(filter.path)] };
    case "in":
      return inSql(jsonPath(filter.path), filter.values);
    case "compare":
      return compareSql(jsonPath(filter.path), filter.operator, filter.value);
    case "contains":
      return containsSql(jsonPath(filter.path), filter.value);
    default:
      return filter satisfies never;
  }
}

/** ` AND …` for a filter, or nothing. */
export function andFilter(filter: Filter | undefined): SqlCondition {
  if (filter === undefined) return { sql: "", values: [] };
  const condition = filterSql(filter);
  return { sql: ` AND ${condition.sql}`, values: condition.values };
}

/** An SQLite JSON path with quoted keys; the filter's parser lets no quote into a key. */
export function jsonPath(path: readonly string[]): string {
  return `$${path.map((key) => `."${key}"`).join("")}`;
}

function joined(parts: readonly SqlCondition[], operator: string): SqlCondition {
  // An empty filter object is an empty conjunction: everything matches.
  if (parts.length === 0) return { sql: "1", values: [] };
  return {
    sql: `(${parts.map((part) => part.sql).join(operator)})`,
    values: parts.flatMap((part) => part.values),
  };
}

const typeIs = (types: string): string => `coalesce(json_type(d.metadata, ?), '') ${types}`;

function inSql(path: string, values: readonly FilterValue[]): SqlCondition {
  const parts: SqlCondition[] = [];
  const texts = values.filter((value) => typeof value === "string");
  const numbers = values.filter((value) => typeof value === "number");
  const oneOf = "json_extract(d.metadata, ?) IN (SELECT value FROM json_each(?))";
  if (texts.length > 0) {
    parts.push({
      sql: `(${typeIs("= 'text'")} AND ${oneOf})`,
      values: [path, path, JSON.stringify(texts)],
    });
  }
  if (numbers.length > 0) {
    parts.push({
      sql: `(${typeIs(`IN ${NUMBER_TYPES}`)} AND ${asReal("json_extract(d.metadata, ?)")} IN (SELECT ${asReal("value")} FROM json_each(?)))`,
      values: [path, path, JSON.stringify(numbers)],
    });
  }
  for (const constant of [true, false, null]) {
    if (values.includes(constant))
      parts.push({ sql: `(${typeIs(`= '${constant}'`)})`, values: [path] });
  }
  return parts.length === 0 ? { sql: "0", values: [] } : joined(parts, " OR ");
}

const COMPARISONS = { $gt: ">", $gte: ">=", $lt: "<", $lte: "<=" } as const;

function compareSql(
  path: string,
  operator: keyof typeof COMPARISONS,
  value: string | number,
): SqlCondition {
  const extracted = "json_extract(d.metadata, ?)";
  const [types, left, right] =
    typeof value === "string"
      ? ["= 'text'", extracted, "?"]
      : [`IN ${NUMBER_TYPES}`, asReal(extracted), asReal("?")];
  return {
    sql: `(${typeIs(types)} AND ${left} ${COMPARISONS[operator]} ${right})`,
    values: [path, path, value],
  };
}

function containsSql(path: string, value: FilterValue): SqlCondition {
  const element = elementSql(value);
  const inArray: SqlCondition = {
    sql: `(${typeIs("= 'array'")} AND EXISTS (SELECT 1 FROM json_each(d.metadata, ?) AS e WHERE ${element.sql}))`,
    values: [path, path, ...element.values],
  };
  if (typeof value !== "string") return inArray;
  const inText: SqlCondition = {
    sql: `(${typeIs("= 'text'")} AND instr(json_extract(d.metadata, ?), ?) > 0)`,
    values: [path, path, value],
  };
  return joined([inText, inArray], " OR ");
}

function elementSql(value: FilterValue): SqlCondition {
  if (typeof value === "string") return { sql: "e.type = 'text' AND e.value = ?", values: [value] };
  if (typeof value === "number")
    return {
      sql: `e.type IN ${NUMBER_TYPES} AND ${asReal("e.value")} = ${asReal("?")}`,
      values: [value],
    };
  return { sql: `e.type = '${value}'`, values: [] };
}
