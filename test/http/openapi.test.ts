import { describe, expect, test } from "bun:test";
import { createCollections } from "../../src/collections/collections.ts";
import { embedderOf } from "../../src/boot/embed-texts.ts";
import { createDocuments } from "../../src/documents/documents.ts";
import { createIdempotency } from "../../src/documents/idempotency.ts";
import { openLocalEngines } from "../../src/engine/engines.ts";
import { createApp } from "../../src/http/app.ts";
import { createEventStreams } from "../../src/http/event-streams.ts";
import { createHealth } from "../../src/http/health.ts";
import { createWork } from "../../src/boot/work.ts";
import { parseConfig } from "../../src/config.ts";
import { systemClock } from "../../src/rooms/clock.ts";
import { createRooms } from "../../src/rooms/rooms.ts";
import { createSearch } from "../../src/search/search.ts";
import { StandingRegistry } from "../../src/standing-queries/registry.ts";
import { createStoredQueries } from "../../src/standing-queries/stored-queries.ts";
import { createWebhookSender } from "../../src/standing-queries/webhook-sender.ts";
import { LocalStore } from "../../src/store/local/local-store.ts";
import packageJson from "../../package.json" with { type: "json" };
import { engineOptions } from "../support/engine.ts";
import { startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

type Json = Readonly<Record<string, unknown>>;

const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
const JSON_TYPES = ["null", "boolean", "object", "array", "number", "string", "integer"];

/** They say all there is to say by their address. */
const ORDERS = [
  "POST /api/v1/admin/verify",
  "POST /api/v1/admin/compact",
  "POST /api/v1/backups",
  "POST /api/v1/collections/{name}/reindex",
  "POST /api/v1/jobs/{id}/cancel",
];

/** Pages of the documentation are no part of the API. */
const HIDDEN = [
  "/api/docs",
  "/api/docs/swagger-ui-bundle.js",
  "/api/docs/swagger-ui.css",
  "/api/openapi.json",
];

/** The names and paths of the contract that this version answers. */
const CONTRACT = [
  "DELETE /api/v1/aliases/{name}",
  "DELETE /api/v1/collections/{name}",
  "DELETE /api/v1/collections/{name}/documents/{id}",
  "DELETE /api/v1/rooms/{room}",
  "GET /api/v1/aliases",
  "GET /api/v1/collections",
  "GET /api/v1/collections/{name}",
  "GET /api/v1/collections/{name}/documents",
  "GET /api/v1/collections/{name}/documents/{id}",
  "GET /api/v1/collections/{name}/search",
  "GET /api/v1/backups",
  "GET /api/v1/ingest-runs/{id}",
  "GET /api/v1/jobs",
  "GET /api/v1/jobs/{id}",
  "GET /api/v1/rooms",
  "GET /api/v1/rooms/{room}",
  "GET /api/v1/rooms/{room}/events",
  "GET /api/v1/rooms/{room}/messages",
  "GET /api/v1/rooms/{room}/presence",
  "GET /health/live",
  "GET /health/ready",
  "GET /problems/{code}",
  "GET /v1/models",
  "GET /version",
  "PATCH /api/v1/collections/{name}",
  ...ORDERS,
  "POST /api/v1/collections",
  "POST /api/v1/collections/{name}/documents",
  "POST /api/v1/collections/{name}/documents/delete",
  "POST /api/v1/collections/{name}/files",
  "POST /api/v1/collections/{name}/search",
  "POST /api/v1/rooms/{room}/messages",
  "POST /api/v1/search/multi",
  "POST /v1/embeddings",
  "PUT /api/v1/aliases/{name}",
  "PUT /api/v1/rooms/{room}",
];

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function objectAt(value: unknown, ...path: string[]): Json {
  let at = value;
  for (const name of path) at = isObject(at) ? at[name] : undefined;
  if (!isObject(at)) throw new Error(`no object at ${path.join(".")}`);
  return at;
}

async function fetchSpec(): Promise<Json> {
  await using server = await startServer();
  const answer = await server.call("GET /api/openapi.json");
  expect(answer.headers.get("content-type")).toStartWith("application/json");
  return objectAt(answer.json);
}

function operationsOf(spec: Json): { name: string; path: string; operation: Json }[] {
  return Object.entries(objectAt(spec, "paths")).flatMap(([path, item]) =>
    Object.entries(objectAt(item)).map(([method, operation]) => {
      expect(METHODS).toContain(method);
      return { name: `${method.toUpperCase()} ${path}`, path, operation: objectAt(operation) };
    }),
  );
}

/** Everything wrong with a JSON Schema, as far as its shape goes. */
function schemaFaults(schema: unknown, place: string): string[] {
  if (schema === true || schema === false) return [];
  if (!isObject(schema)) return [`${place}: is no schema`];
  const faults: string[] = [];
  const types = textsOf(schema["type"]);
  for (const type of types) {
    if (!JSON_TYPES.includes(type)) faults.push(`${place}: type ${type}`);
  }
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  for (const name of textsOf(schema["required"])) {
    if (!(name in properties)) faults.push(`${place}: requires unknown ${name}`);
  }
  for (const [name, inner] of Object.entries(properties)) {
    faults.push(...schemaFaults(inner, `${place}.${name}`));
  }
  for (const keyword of ["anyOf", "oneOf", "allOf"]) {
    const list = schema[keyword];
    if (list === undefined) continue;
    if (!Array.isArray(list) || list.length === 0) faults.push(`${place}: ${keyword} is empty`);
    else faults.push(...list.flatMap((inner) => schemaFaults(inner, `${place}.${keyword}`)));
  }
  for (const keyword of ["items", "additionalProperties", "not"]) {
    const inner = schema[keyword];
    if (inner !== undefined) faults.push(...schemaFaults(inner, `${place}.${keyword}`));
  }
  if (types.includes("array") && schema["items"] === undefined) faults.push(`${place}: no items`);
  return faults;
}

function contentFaults(content: unknown, place: string): string[] {
  if (content === undefined) return [];
  if (!isObject(content)) return [`${place}: content is no object`];
  return Object.entries(content).flatMap(([type, media]) => {
    const faults = /^\w+\/[\w.+-]+$/.test(type) ? [] : [`${place}: content type ${type}`];
    const schema = isObject(media) ? media["schema"] : undefined;
    return [...faults, ...schemaFaults(schema, `${place} ${type}`)];
  });
}

/** The texts of a value that is a text or a list of them. */
function textsOf(value: unknown): string[] {
  return [value].flat().filter((one) => typeof one === "string");
}

function parameterFaults(operation: Json, path: string, name: string): string[] {
  const parameters = Array.isArray(operation["parameters"]) ? operation["parameters"] : [];
  const inPath: string[] = [];
  const faults: string[] = [];
  for (const parameter of parameters.filter(isObject)) {
    const { name: field, in: where, required, schema } = parameter;
    if (!["path", "query", "header", "cookie"].some((one) => one === where)) {
      faults.push(`${name}: parameter ${String(field)} in ${String(where)}`);
    }
    if (where === "path") inPath.push(`{${String(field)}}`);
    if (where === "path" && required !== true) faults.push(`${name}: ${String(field)} is optional`);
    faults.push(...schemaFaults(schema, `${name} ${String(field)}`));
  }
  const wanted = path.match(/\{\w+\}/g) ?? [];
  if (wanted.toSorted().join() !== inPath.toSorted().join()) {
    faults.push(`${name}: path has ${wanted.join()} and parameters ${inPath.join()}`);
  }
  return faults;
}

describe("/api/openapi.json", () => {
  test("lists exactly the routes that the app has, and those of the contract", async () => {
    using dir = tempDir();
    await using store = await LocalStore.open(dir.path);
    await using engines = await openLocalEngines(store, engineOptions(dir.path));
    const { engine } = engines;
    const { prepare, embedTexts } = embedderOf(engine.models);
    using rooms = createRooms({ store });
    using events = createEventStreams(rooms);
    await using queries = new StandingRegistry({ store, folder: dir.path, embed: async () => [] });
    const send = createWebhookSender({ privateAddresses: false });
    const webhooks = { send, privateAddresses: false, clock: systemClock };
    await using storedQueries = createStoredQueries({ store, queries, ...webhooks });
    const collections = createCollections({ store, engines, defaultModel: "static-256" });
    const documents = createDocuments({ store, engines, prepare });
    const config = parseConfig({ DATA_DIR: dir.path });
    await using work = createWork(config, { store, engines, collections, documents, rooms });
    const app = createApp({
      ...work,
      store,
      engines,
      rooms,
      storedQueries,
      events,
      collections,
      documents,
      idempotency: createIdempotency(store),
      search: createSearch({ store, engine, kDefault: 10 }),
      embedTexts,
      health: createHealth({ lifecycle: { state: "ready", steps: [] } }),
    });
    const routes = app.routes
      .filter((route) => !HIDDEN.includes(route.path))
      .map((route) => `${route.method} ${route.path.replaceAll(/:(\w+)/g, "{$1}")}`);
    const listed = operationsOf(await fetchSpec()).map(({ name }) => name);
    expect(listed.toSorted()).toEqual(routes.toSorted());
    expect(listed).toEqual(expect.arrayContaining(CONTRACT));
  });

  test("is OpenAPI 3.1 in shape", async () => {
    const spec = await fetchSpec();
    expect(spec["openapi"]).toMatch(/^3\.1\.\d+$/);
    expect(objectAt(spec, "info")).toMatchObject({
      title: "Slipstream",
      version: packageJson.version,
    });
    const faults: string[] = [];
    const operationIds: string[] = [];
    for (const { name, path, operation } of operationsOf(spec)) {
      expect(path).toStartWith("/");
      faults.push(...parameterFaults(operation, path, name));
      operationIds.push(...textsOf(operation["operationId"]));
      if (operation["requestBody"] !== undefined) {
        const content = objectAt(operation, "requestBody")["content"];
        faults.push(...contentFaults(content ?? {}, `${name} body`));
      }
      const responses = Object.entries(objectAt(operation, "responses"));
      if (responses.length === 0) faults.push(`${name}: no responses`);
      for (const [status, response] of responses) {
        if (!/^([1-5]\d\d|default)$/.test(status)) faults.push(`${name}: status ${status}`);
        const { description, content } = objectAt(response);
        if (typeof description !== "string") faults.push(`${name} ${status}: no description`);
        if (status === "204" && content !== undefined) faults.push(`${name} 204: has content`);
        faults.push(...contentFaults(content, `${name} ${status}`));
      }
    }
    expect(faults).toEqual([]);
    expect(new Set(operationIds).size).toBe(operationIds.length);
    const text = JSON.stringify(spec);
    for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
      expect(objectAt(spec, "components", "schemas")).toHaveProperty(name ?? "");
    }
  });

  test("says of every operation what a body holds and how it succeeds", async () => {
    const spec = await fetchSpec();
    const without: string[] = [];
    for (const { name, operation } of operationsOf(spec)) {
      const takesBody = /^(POST|PUT|PATCH)/.test(name) && !ORDERS.includes(name);
      if (takesBody) {
        const { content } = objectAt(operation, "requestBody");
        if (!isObject(content) || !isObject(Object.values(content)[0]))
          without.push(`${name}: body`);
      }
      const statuses = Object.keys(objectAt(operation, "responses"));
      if (!statuses.some((status) => /^2\d\d$/.test(status))) without.push(`${name}: success`);
      if (!Array.isArray(operation["tags"])) without.push(`${name}: tag`);
    }
    expect(without).toEqual([]);
    const upsert = objectAt(
      spec,
      "paths",
      "/api/v1/collections/{name}/documents",
      "post",
      "requestBody",
      "content",
    );
    expect(Object.keys(upsert).toSorted()).toEqual(["application/json", "application/x-ndjson"]);
  });
});

describe("/api/docs", () => {
  test("is a page of ours that names nothing elsewhere, and its assets answer", async () => {
    await using server = await startServer();
    const page = await server.call("GET /api/docs");
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(page.text).not.toMatch(/https?:|\/\//);
    const links = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link ?? "");
    expect(links.toSorted()).toEqual([
      "/api/docs/swagger-ui-bundle.js",
      "/api/docs/swagger-ui.css",
    ]);
    expect(page.text).toContain('"/api/openapi.json"');
    const types: Record<string, string> = { js: "text/javascript", css: "text/css" };
    for (const link of links) {
      const asset = await server.call(`GET ${link}`);
      expect(asset.status).toBe(200);
      expect(asset.headers.get("content-type")).toStartWith(
        types[link.split(".").at(-1) ?? ""] ?? "?",
      );
      expect(asset.headers.get("x-content-type-options")).toBe("nosniff");
      expect(asset.text.length).toBeGreaterThan(10_000);
    }
    const css = (await server.call("GET /api/docs/swagger-ui.css")).text;
    expect(css).not.toMatch(/@import|url\((?!['"]?data:)/);
  });

  test("lets the browser load nothing from elsewhere, nor try to", async () => {
    await using server = await startServer();
    const page = await server.call("GET /api/docs");
    const policy = page.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'self'");
    expect(policy).not.toMatch(/https?:|\*/);
    // The bundle sends an address that is not local to a validator on the internet unless it is told not to.
    const bundle = (await server.call("GET /api/docs/swagger-ui-bundle.js")).text;
    expect(bundle).toContain("validator.swagger.io");
    expect(page.text).toMatch(/validatorUrl: ?(null|"none")/);
  });
});
