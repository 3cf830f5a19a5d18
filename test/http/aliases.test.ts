import { describe, expect, test } from "bun:test";
import { Type } from "@sinclair/typebox";
import { AliasSchema } from "../../src/contract/collections.ts";
import { startServer, type TestServer } from "../support/server.ts";
import {
  createRules,
  expectRefused,
  idsOf,
  read,
  readCollection,
  readDocument,
  readPages,
  readUpsert,
} from "./answers.ts";

/** Two collections with one document each, whose id is the collection's name. */
async function createPair(server: TestServer): Promise<void> {
  for (const name of ["blue", "green"]) {
    await server.call("POST /api/v1/collections", { name });
    const documents = [{ id: name, text: "The flag is waved." }];
    const path = `POST /api/v1/collections/${name}/documents?wait=indexed`;
    readUpsert(await server.call(path, { documents }));
  }
}

async function put(server: TestServer, alias: string, collection: string): Promise<unknown> {
  return read(AliasSchema, await server.call(`PUT /api/v1/aliases/${alias}`, { collection }));
}

describe("an alias", () => {
  test("is usable wherever a collection's name is", async () => {
    await using server = await startServer();
    await createPair(server);
    expect(await put(server, "live", "blue")).toEqual({ name: "live", collection: "blue" });
    const path = "/api/v1/collections/live";
    expect(readCollection(await server.call(`GET ${path}`)).name).toBe("blue");
    const documents = [{ id: "second", text: "The car stops." }];
    readUpsert(await server.call(`POST ${path}/documents?wait=indexed`, { documents }));
    expect(readDocument(await server.call(`GET ${path}/documents/second`)).text).toBe(
      "The car stops.",
    );
    expect(idsOf(await server.call(`GET ${path}/search?q=stops&mode=keyword`))).toEqual(["second"]);
    const searches = [{ collection: "live", query: "stops", mode: "keyword" }];
    const multi = await server.call("POST /api/v1/search/multi", { searches });
    expect(multi.json).toMatchObject({ results: [{ hits: [{ id: "second" }] }] });
    const deleted = await server.call(`POST ${path}/documents/delete`, { ids: ["second"] });
    expect(deleted.json).toMatchObject({ deleted: 1 });
    expect(readCollection(await server.call("GET /api/v1/collections/blue")).documents).toBe(1);
  });

  test("of an alias points at the collection itself and stays when the first moves", async () => {
    await using server = await startServer();
    await createPair(server);
    await put(server, "live", "blue");
    expect(await put(server, "newest", "live")).toEqual({ name: "newest", collection: "blue" });
    await put(server, "live", "green");
    expect(readCollection(await server.call("GET /api/v1/collections/newest")).name).toBe("blue");
  });

  test("swaps at once: every search meanwhile is answered by one of the two", async () => {
    await using server = await startServer();
    await createPair(server);
    await put(server, "live", "blue");
    const search = () => server.call("GET /api/v1/collections/live/search?q=flag");
    const seen = new Set<string>();
    for (let round = 0; round < 20; round++) {
      const before = Array.from({ length: 5 }, search);
      const target = round % 2 === 0 ? "green" : "blue";
      const swapped = put(server, "live", target);
      const after = Array.from({ length: 5 }, search);
      for (const answer of await Promise.all([...before, ...after])) {
        const ids = idsOf(answer);
        expect(ids).toHaveLength(1);
        seen.add(ids[0] ?? "");
      }
      await swapped;
      expect(idsOf(await search())).toEqual([target]);
    }
    expect([...seen].toSorted()).toEqual(["blue", "green"]);
  });

  test("removed, its name is free and the collection stays", async () => {
    await using server = await startServer();
    await createPair(server);
    await put(server, "live", "blue");
    const removed = await server.call("DELETE /api/v1/aliases/live");
    expect(removed.status).toBe(204);
    expect(removed.text).toBe("");
    await expectRefused(server, {
      "the alias as a collection": {
        target: "GET /api/v1/collections/live",
        status: 404,
        code: "collection_not_found",
      },
      "the alias again": {
        target: "DELETE /api/v1/aliases/live",
        status: 404,
        code: "alias_not_found",
      },
      "a collection, which is no alias": {
        target: "DELETE /api/v1/aliases/blue",
        status: 404,
        code: "alias_not_found",
      },
    });
    expect(readCollection(await server.call("GET /api/v1/collections/blue")).documents).toBe(1);
    expect((await server.call("POST /api/v1/collections", { name: "live" })).status).toBe(201);
  });

  test("does not take a collection's name, nor point at nothing, nor hold more than a name", async () => {
    await using server = await startServer();
    await createPair(server);
    const target = "PUT /api/v1/aliases/live";
    await expectRefused(server, {
      "a collection's name": {
        target: "PUT /api/v1/aliases/green",
        body: { collection: "blue" },
        status: 409,
        code: "name_taken",
      },
      "an unknown collection": {
        target,
        body: { collection: "gone" },
        status: 404,
        code: "collection_not_found",
      },
      "a name that is none": {
        target: "PUT /api/v1/aliases/a%20b",
        body: { collection: "blue" },
        status: 400,
        code: "invalid_request",
      },
      "an unknown field": {
        target,
        body: { collection: "blue", weight: 1 },
        status: 400,
        code: "invalid_request",
      },
      "no collection": { target, body: {}, status: 400, code: "invalid_request" },
      "no body": { target, status: 400, code: "invalid_request" },
    });
    expect((await server.call("GET /api/v1/aliases")).json).toEqual({
      items: [],
      next_cursor: null,
    });
  });
});

test("the list pages through every alias once, in the order of names", async () => {
  await using server = await startServer();
  await createRules(server);
  const names = Array.from({ length: 23 }, (_, index) => `a${(index * 7) % 23}`);
  for (const name of names) await put(server, name, "rules");
  const pages = await readPages(server, AliasSchema, "GET /api/v1/aliases?limit=5");
  expect(pages.map((page) => page.length)).toEqual([5, 5, 5, 5, 3]);
  expect(pages.flat()).toEqual(names.toSorted().map((name) => ({ name, collection: "rules" })));
  const state = await server.call("GET /api/v1/collections/rules");
  expect(read(Type.Object({ aliases: Type.Array(Type.String()) }), state).aliases).toEqual(
    names.toSorted(),
  );
  await expectRefused(server, {
    "a bad cursor": {
      target: "GET /api/v1/aliases?cursor=!",
      status: 400,
      code: "invalid_request",
    },
    "a bad limit": {
      target: "GET /api/v1/aliases?limit=0",
      status: 400,
      code: "invalid_request",
    },
  });
});
