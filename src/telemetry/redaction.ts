import { limits } from "../limits.ts";

/** What stands in the place of a value that nobody may read. */
export const REDACTED = "***REDACTED***";

/** Words of which one in a key is enough. */
const WORDS = new Set([
  "accesskey",
  "apikey",
  "auth",
  "authorization",
  "cookie",
  "cookies",
  "credential",
  "credentials",
  "passphrase",
  "passwd",
  "password",
  "passwords",
  "privatekey",
  "pwd",
  "secret",
  "secrets",
  "token",
]);

/** Words that mean a secret where they follow each other. */
const PAIRS = new Set(["access key", "api key", "private key"]);

/** Keys whose answer is remembered; ours are some two hundred, and callers can make others up. */
const KEYS_REMEMBERED = 2000;

const known = new Map<string, boolean>();

/**
 * Whether a key names a secret: `password`, `api_key`, `X-Api-Key`, `accessToken`. Whole words count, so that
 * `total_tokens`, `author` and `tokenizer` are none.
 */
export function isSensitiveKey(key: string): boolean {
  const answer = known.get(key);
  if (answer !== undefined) return answer;
  const found = namesSecret(key);
  if (known.size < KEYS_REMEMBERED) known.set(key, found);
  return found;
}

function namesSecret(key: string): boolean {
  const words = key
    .replace(/([a-z\d])([A-Z])/g, "$1 $2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2")
    .replace(/(\d+)/g, " $1 ")
    .toLowerCase()
    .split(/[^\p{L}\d]+/u);
  return words.some((word, at) => WORDS.has(word) || PAIRS.has(`${word} ${words[at + 1] ?? ""}`));
}

/**
 * The same fields with `***REDACTED***` for what stands under a key that names a secret, however deep: in objects, lists,
 * and fields and causes of errors, which become plain objects. Fields without such keys are given back themselves;
 * nothing that is given is changed. Never throws.
 */
export function sanitizeSensitiveData<T extends Readonly<Record<string, unknown>>>(fields: T): T {
  let copy: Record<string, unknown> | undefined;
  let seen: Seen | undefined;
  // oxlint-disable-next-line guard-for-in -- fields are plain objects, and this is the cheapest way through them
  for (const key in fields) {
    const field: unknown = fields[key];
    if (isSensitiveKey(key)) {
      copy ??= { ...fields };
      copy[key] = REDACTED;
    } else if (typeof field === "object" && field !== null && !isFlatAndClean(field)) {
      seen ??= new Map([[fields, CIRCULAR]]);
      const cleaned = cleanSafely(field, seen);
      if (cleaned === field) continue;
      copy ??= { ...fields };
      copy[key] = cleaned;
    }
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same keys, of which some have another value
  return copy === undefined ? fields : (copy as T);
}

/** Most objects of a line: a request's query, a few numbers. Nothing has to be remembered of them. */
function isFlatAndClean(value: object): boolean {
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  try {
    return Object.entries(value).every(
      ([key, field]) =>
        (typeof field !== "object" || field === null) &&
        typeof field !== "function" &&
        !isSensitiveKey(key),
    );
  } catch {
    return false;
  }
}

const CIRCULAR = "[circular]";

/** What was made of each object so far; a ring ends where it comes round. */
type Seen = Map<object, unknown>;

/** What cannot be read, as a getter that throws, costs its field and not the line. */
function cleanSafely(value: object, seen: Seen): unknown {
  try {
    return clean(value, seen, 1);
  } catch {
    return "[not JSON]";
  }
}

function clean(value: unknown, seen: Seen, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (seen.has(value)) return seen.get(value);
  if (depth > limits.logDepthMax) return "[too deep]";
  seen.set(value, CIRCULAR);
  const cleaned = cleanObject(value, seen, depth + 1);
  seen.set(value, cleaned);
  return cleaned;
}

function cleanObject(value: object, seen: Seen, depth: number): unknown {
  if (value instanceof Error) return cleanError(value, seen, depth);
  if (ArrayBuffer.isView(value)) return value;
  // As JSON would show it.
  if ("toJSON" in value && typeof value.toJSON === "function")
    return clean(value.toJSON(), seen, depth);
  return cleanFields(value, seen, depth);
}

/** Of a list too. */
function cleanFields(value: object, seen: Seen, depth: number): object {
  const isList = Array.isArray(value);
  let changes: [string, unknown][] | undefined;
  for (const [key, field] of Object.entries(value)) {
    const cleaned: unknown = !isList && isSensitiveKey(key) ? REDACTED : clean(field, seen, depth);
    if (cleaned !== field) (changes ??= []).push([key, cleaned]);
  }
  if (changes === undefined) return value;
  return Object.assign(isList ? [...value] : { ...value }, Object.fromEntries(changes));
}

/** Type, message, stack and cause, and what the error has of its own, such as `code`. */
function cleanError(error: Error, seen: Seen, depth: number): Record<string, unknown> {
  const { name: type, message, stack, cause } = error;
  const fields: Record<string, unknown> = { type, message, stack };
  if (cause !== undefined) fields["cause"] = clean(cause, seen, depth);
  for (const [key, value] of Object.entries(error)) {
    if (key in fields || key === "name") continue;
    fields[key] = isSensitiveKey(key) ? REDACTED : clean(value, seen, depth);
  }
  return fields;
}
