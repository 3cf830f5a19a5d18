/**
 * True if a handshake may go on. Browsers send an Origin and send cookies and local addresses of their user with it, so
 * a page of another host must be allowed by name (RFC 6455, section 10.2); programs send none and are not bound by it.
 */
export function isOriginAllowed(
  { origin, host }: { origin: string | null; host: string | null },
  allowed: readonly string[],
): boolean {
  if (origin === null || allowed.includes("*") || allowed.includes(origin)) return true;
  return (
    host !== null &&
    URL.canParse(origin) &&
    new URL(origin).host === withoutDefaultPort(origin, host)
  );
}

/** A browser leaves the scheme's own port out of an origin; a Host may have it. */
function withoutDefaultPort(origin: string, host: string): string {
  const port = origin.startsWith("https:") ? ":443" : ":80";
  return (host.endsWith(port) ? host.slice(0, -port.length) : host).toLowerCase();
}
