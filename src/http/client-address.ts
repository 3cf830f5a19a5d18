import { isIP } from "node:net";

/** Who sends a request: what the socket says, or what proxies in front have written down. */
export type ClientAddress = (request: Request, peer: string | null) => string | null;

/**
 * Each proxy adds whom it was asked by to `X-Forwarded-For`, so with `proxies` of them the client stands that far from the
 * end. What stands before it is the client's own to make up, and so is the whole header without a proxy.
 */
export function createClientAddress(proxies: number): ClientAddress {
  if (proxies === 0) return (_request, peer) => peer;
  return (request, peer) => {
    const given = request.headers.get("x-forwarded-for");
    if (given === null) return peer;
    const addresses = given.split(",");
    const address = addresses[Math.max(0, addresses.length - proxies)]?.trim() ?? "";
    return isIP(address) === 0 ? peer : address;
  };
}

/** What belongs to one client: an IPv4 address, or the 64 bits of IPv6 that a site has all addresses of. */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = "", tail] = address.toLowerCase().split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  return [...before, ...Array<string>(zeros).fill("0"), ...after].slice(0, 4).join(":");
}
