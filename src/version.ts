import manifest from "../package.json" with { type: "json" };

/** What this program is. A compiled binary has its commit and build time set by the build; from source they are unknown. */
export const VERSION = {
  name: "slipstream",
  version: manifest.version,
  commit: process.env["SLIPSTREAM_BUILD_COMMIT"] ?? "source",
  built_at: process.env["SLIPSTREAM_BUILD_TIME"] ?? null,
  bun: Bun.version,
} as const;
