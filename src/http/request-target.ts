/** Where a request goes. */
export interface RequestTarget {
  /** Path and query as they came. */
  target: string;
  path: string;
  /** Without its question mark; empty where there is none. */
  query: string;
}

/**
 * The target of a request, cut out of its URL: a parser takes a microsecond or two of each request for what two searches
 * find. A URL that has no path, as HTTP/1.0 without a Host can give, has the path "/".
 */
export function targetOf({ url }: { url: string }): RequestTarget {
  const authority = url.indexOf("//");
  const start = authority < 0 ? 0 : url.indexOf("/", authority + 2);
  const target = start < 0 || !url.startsWith("/", start) ? "/" : url.slice(start);
  const end = target.indexOf("?");
  if (end < 0) return { target, path: target, query: "" };
  return { target, path: target.slice(0, end), query: target.slice(end + 1) };
}
