import { describe, expect, test } from "bun:test";
import { privateReasonOf } from "../../../src/standing-queries/public-address.ts";
import { readWebhookUrl } from "../../../src/standing-queries/webhook-url.ts";
import { problemOf } from "../problems/problem-of.ts";

const PRIVATE: Readonly<Record<string, readonly string[]>> = {
  loopback: ["127.0.0.1", "127.255.255.254", "::1"],
  private: ["10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1"],
  "link-local": ["169.254.0.1", "169.254.169.254", "fe80::1", "febf::1", "fe80::1%eth0"],
  "shared by a carrier": ["100.64.0.1", "100.100.100.200", "100.127.255.255"],
  "this network": ["0.0.0.0", "0.1.2.3"],
  multicast: ["224.0.0.1", "239.255.255.255", "ff02::1"],
  reserved: [
    "240.0.0.1",
    "255.255.255.255",
    "192.0.0.1",
    "192.88.99.1",
    "::",
    "100::1",
    "5f00::1",
    "2001::1",
    "2001:1ff:ffff::1",
    "4000::1",
  ],
  "for documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff:fff::1"],
  "for benchmarks": ["198.18.0.1", "198.19.255.255"],
  "unique local": ["fc00::1", "fd00:ec2::254", "fdff::1"],
  "a cloud's own service": ["168.63.129.16"],
};

/** An IPv4 address that stands in one of IPv6. */
const INSIDE: Readonly<Record<string, string>> = {
  "::ffff:127.0.0.1": "loopback",
  "::ffff:7f00:1": "loopback",
  "::FFFF:169.254.169.254": "link-local",
  "0:0:0:0:0:ffff:10.1.2.3": "private",
  "64:ff9b::10.0.0.1": "private",
  "64:ff9b::a9fe:a9fe": "link-local",
  "2002:7f00:1::": "loopback",
  "2002:c0a8:101::1": "private",
  // Other ways to write one in, that no system takes for it any more.
  "::127.0.0.1": "reserved",
  "64:ff9b:1::1": "reserved",
};

const PUBLIC = [
  "1.1.1.1",
  "8.8.8.8",
  "9.255.255.255",
  "11.0.0.0",
  "100.63.255.255",
  "100.128.0.0",
  "126.255.255.255",
  "128.0.0.0",
  "169.253.255.255",
  "169.255.0.0",
  "172.15.255.255",
  "172.32.0.0",
  "192.167.255.255",
  "192.169.0.0",
  "198.17.255.255",
  "198.20.0.0",
  "223.255.255.255",
  "168.63.129.17",
  "2606:4700:4700::1111",
  "2a00:1450:4001:80b::200e",
  "2001:200::1",
  "::ffff:8.8.8.8",
  "64:ff9b::8.8.8.8",
  "2002:808:808::1",
];

describe("an address", () => {
  test("that is not of the public internet has a reason", () => {
    const wrong = Object.entries(PRIVATE).flatMap(([reason, addresses]) =>
      addresses.filter((address) => privateReasonOf(address) !== reason),
    );
    expect(wrong).toEqual([]);
  });

  test("of IPv6 with one of IPv4 inside is judged by that", () => {
    const found = Object.keys(INSIDE).map((address) => [address, privateReasonOf(address)]);
    expect(Object.fromEntries(found)).toEqual(INSIDE);
  });

  test("of the public internet has none", () => {
    expect(PUBLIC.filter((address) => privateReasonOf(address) !== undefined)).toEqual([]);
  });

  test("that is none is not sent to", () => {
    for (const text of ["", "example.com", "1.2.3", "1.2.3.4.5", "01.2.3.4", "::1::", "fe80"])
      expect(privateReasonOf(text)).toBe("it is no IP address");
  });
});

describe("the URL of a webhook", () => {
  const refused: Readonly<Record<string, string>> = {
    "not a url": "must be a URL",
    "http://example.com/hook": "must be an https URL",
    "ftp://example.com/hook": "must be an https URL",
    "file:///etc/passwd": "must be an https URL",
    "https://user:pass@example.com/": "must hold no user and no password",
    "https://example.com/#part": "must have no fragment",
    "https://127.0.0.1/": "(loopback)",
    "https://2130706433/": "(loopback)",
    "https://0x7f.1/": "(loopback)",
    "https://0177.0.0.1/": "(loopback)",
    "https://[::1]:8443/": "(loopback)",
    "https://[::ffff:169.254.169.254]/": "(link-local)",
    "https://169.254.169.254/latest/meta-data": "(link-local)",
    "https://10.0.0.8/": "(private)",
    [`https://example.com/${"x".repeat(2048)}`]: "must be at most 2048 bytes",
  };

  for (const [url, message] of Object.entries(refused)) {
    test(`${url.slice(0, 40)} is refused: ${message}`, async () => {
      const problem = await problemOf(() => readWebhookUrl(url, { privateAddresses: false }));
      expect(problem.code).toBe("invalid_request");
      expect(problem.detail).toContain(message);
      expect(problem.errors.map(({ field }) => field)).toEqual(["/webhook/url"]);
    });
  }

  test("is kept as it will be called", () => {
    const options = { privateAddresses: false };
    expect(readWebhookUrl("https://Example.com:443/hook?key=a b", options)).toBe(
      "https://example.com/hook?key=a%20b",
    );
    expect(readWebhookUrl("https://1.1.1.1/x", options)).toBe("https://1.1.1.1/x");
  });

  test("may be anywhere and plain where that is allowed", async () => {
    const options = { privateAddresses: true };
    expect(readWebhookUrl("http://127.0.0.1:9000/hook", options)).toBe(
      "http://127.0.0.1:9000/hook",
    );
    const problem = await problemOf(() => readWebhookUrl("ftp://10.0.0.1/", options));
    expect(problem.detail).toContain("must be an http or https URL");
  });
});
