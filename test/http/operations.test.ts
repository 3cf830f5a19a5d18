import { expect, test } from "bun:test";
import { VersionSchema } from "../../src/contract/health.ts";
import packageJson from "../../package.json" with { type: "json" };
import { startServer } from "../support/server.ts";
import { createRules, read } from "./answers.ts";

test("the version is the package's", async () => {
  await using server = await startServer();
  const version = read(VersionSchema, await server.call("GET /version"));
  expect(version).toMatchObject({
    name: packageJson.name,
    version: packageJson.version,
    bun: Bun.version,
  });
});

test("two servers in one process keep to their own data", async () => {
  await using first = await startServer();
  await using second = await startServer();
  await createRules(first);
  expect((await first.call("GET /api/v1/collections/rules")).status).toBe(200);
  expect((await second.call("GET /api/v1/collections/rules")).status).toBe(404);
});
