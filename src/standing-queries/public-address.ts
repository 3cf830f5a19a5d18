import { isIP } from "node:net";

/** Why an address may not be sent to, in a few words; undefined where it may be: it is one of the public internet. */
export function privateReasonOf(address: string): string | undefined {
  const bytes = bytesOf(address);
  return bytes === undefined ? "it is no IP address" : reasonOf(bytes);
}

/** IANA IPv4 Special-Purpose Address Registry, and multicast; none of them is reachable by all. */
const NOT_PUBLIC_V4: readonly (readonly [network: string, bits: number, reason: string])[] = [
  ["0.0.0.0", 8, "this network"],
  ["10.0.0.0", 8, "private"],
  ["100.64.0.0", 10, "shared by a carrier"],
  ["127.0.0.0", 8, "loopback"],
  // Where clouds answer with credentials: 169.254.169.254.
  ["169.254.0.0", 16, "link-local"],
  ["172.16.0.0", 12, "private"],
  ["192.0.0.0", 24, "reserved"],
  ["192.0.2.0", 24, "for documentation"],
  ["192.88.99.0", 24, "reserved"],
  ["192.168.0.0", 16, "private"],
  ["198.18.0.0", 15, "for benchmarks"],
  ["198.51.100.0", 24, "for documentation"],
  ["203.0.113.0", 24, "for documentation"],
  ["224.0.0.0", 4, "multicast"],
  ["240.0.0.0", 4, "reserved"],
  // A cloud's own service for its machines, at an address that looks like any other one.
  ["168.63.129.16", 32, "a cloud's own service"],
];

/** Prefixes of IPv6 behind which there is an IPv4 address, and the byte where it begins (RFC 4291, 6052, 3056). */
const V4_INSIDE: readonly (readonly [network: string, bits: number, at: number])[] = [
  ["::ffff:0:0", 96, 12],
  ["64:ff9b::", 96, 12],
  ["2002::", 16, 2],
];

/** Within 2000::/3, of which the public internet is made (IANA IPv6 Special-Purpose Address Registry). */
const NOT_PUBLIC_V6: readonly (readonly [network: string, bits: number, reason: string])[] = [
  ["2001::", 23, "reserved"],
  ["2001:db8::", 32, "for documentation"],
  ["3fff::", 20, "for documentation"],
];

function reasonOf(bytes: readonly number[]): string | undefined {
  if (bytes.length === 4) return listed(bytes, NOT_PUBLIC_V4);
  for (const [network, bits, at] of V4_INSIDE) {
    if (isWithin(bytes, network, bits)) return reasonOf(bytes.slice(at, at + 4));
  }
  if (!isWithin(bytes, "2000::", 3)) return nameOfV6(bytes);
  return listed(bytes, NOT_PUBLIC_V6);
}

/** What lies outside the public part has a name where people know it by one. */
function nameOfV6(bytes: readonly number[]): string {
  if (isWithin(bytes, "::1", 128)) return "loopback";
  if (isWithin(bytes, "fc00::", 7)) return "unique local";
  if (isWithin(bytes, "fe80::", 10)) return "link-local";
  if (isWithin(bytes, "ff00::", 8)) return "multicast";
  return "reserved";
}

function listed(
  bytes: readonly number[],
  list: readonly (readonly [network: string, bits: number, reason: string])[],
): string | undefined {
  return list.find(([network, bits]) => isWithin(bytes, network, bits))?.[2];
}

function isWithin(bytes: readonly number[], network: string, bits: number): boolean {
  const other = bytesOf(network);
  if (other?.length !== bytes.length) return false;
  return bytes.every((byte, index) => {
    const counted = Math.min(8, Math.max(0, bits - 8 * index));
    return (byte ^ (other[index] ?? 0)) >> (8 - counted) === 0;
  });
}

/** 4 or 16 bytes; undefined for what is no address. */
function bytesOf(address: string): readonly number[] | undefined {
  // Which interface a link-local address is of says nothing of where it leads.
  const [plain = ""] = address.split("%");
  const version = isIP(plain);
  if (version === 4) return plain.split(".").map(Number);
  return version === 6 ? bytesOfV6(plain) : undefined;
}

function bytesOfV6(address: string): readonly number[] {
  const [front = "", back] = address.split("::");
  const head = groupsOf(front);
  const tail = back === undefined ? [] : groupsOf(back);
  const zeros = Array.from({ length: 16 - head.length - tail.length }, () => 0);
  return [...head, ...zeros, ...tail];
}

/** Two bytes of each group, four of an IPv4 address at the end. */
function groupsOf(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
