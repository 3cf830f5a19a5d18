import { isObject } from "../lib/is-object.ts";
import type { ComparisonOperator, Filter, FilterValue } from "./filter.ts";

/**
 * Whether metadata matches a filter, with exactly the meaning that the filter has where the store itself evaluates it.
 * `metadata` is what JSON gives.
 */
export function filterMatches(filter: Filter, metadata: unknown): boolean {
  switch (filter.kind) {
    case "and":
      return filter.filters.every((one) => filterMatches(one, metadata));
    case "or":
      return filter.filters.some((one) => filterMatches(one, metadata));
    case "not":
      return !filterMatches(filter.filter, metadata);
    case "exists":
      return valueAt(metadata, filter.path) !== undefined;
    case "in":
      return isOneOf(valueAt(metadata, filter.path), filter.values);
    case "compare":
      return compares(valueAt(metadata, filter.path), filter);
    case "contains":
      return contains(valueAt(metadata, filter.path), filter.value);
    default:
      return filter satisfies never;
  }
}

/** What stands at a path; undefined where nothing does. A list has no named parts. */
export function valueAt(metadata: unknown, path: readonly string[]): unknown {
  let value = metadata;
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

function isOneOf(value: unknown, wanted: readonly FilterValue[]): boolean {
  return wanted.some((one) => one === value);
}

function compares(
  value: unknown,
  { operator, value: wanted }: { operator: ComparisonOperator; value: string | number },
): boolean {
  const order = orderOf(value, wanted);
  if (order === undefined) return false;
  switch (operator) {
    case "$gt":
      return order > 0;
    case "$gte":
      return order >= 0;
    case "$lt":
      return order < 0;
    case "$lte":
      return order <= 0;
    default:
      return operator satisfies never;
  }
}

/** Numbers by size, texts by code point; undefined where the two are not of one kind. */
function orderOf(value: unknown, wanted: string | number): number | undefined {
  if (typeof value === "number" && typeof wanted === "number") {
    return value < wanted ? -1 : Number(value > wanted);
  }
  if (typeof value === "string" && typeof wanted === "string") return compareText(value, wanted);
  return undefined;
}

/** By code point, as the bytes of UTF-8 are ordered; JavaScript's own order is that of UTF-16. */
function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const [one, other] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (one !== other) return rank(one) - rank(other);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above all that are one unit. */
function rank(unit: number): number {
  return unit >= 0xd8_00 && unit <= 0xdf_ff ? unit + 0x1_00_00 : unit;
}

function contains(value: unknown, wanted: FilterValue): boolean {
  if (Array.isArray(value)) return value.some((one: unknown) => one === wanted);
  return typeof value === "string" && typeof wanted === "string" && value.includes(wanted);
}
