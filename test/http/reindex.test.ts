import { expect, test } from "bun:test";
import { jobEnded, jobOf } from "../support/jobs.ts";
import { startServer } from "../support/server.ts";
import { createRules, idsOf, writeRules } from "./answers.ts";

const DOCUMENTS = 600;

/** Small segments, so that there are files to be removed. */
const env = { ENGINES: "2", INDEX_SEAL_ROWS: "100" };

test("index files made anew are taken over by every engine, and writes in between are found", async () => {
  await using server = await startServer({ env });
  await createRules(server);
  const documents = Array.from({ length: DOCUMENTS }, (_, number) => ({
    id: `d${number}`,
    text: `rule number${number}`,
  }));
  await writeRules(server, documents);
  await server.call("POST /api/v1/collections/rules/documents?wait=indexed", {
    documents: [{ id: "last", text: "pistachio" }],
  });
  const reindex = `${server.url}/api/v1/collections/rules/reindex`;
  const { id } = await jobOf(await fetch(reindex, { method: "POST" }));
  await writeRules(server, [{ id: "between", text: "marmalade" }]);
  const job = await jobEnded(server.url, id);
  expect(job).toMatchObject({ state: "succeeded", result: { problems: [] } });
  // Engines take turns: each is asked several times.
  for (let turn = 0; turn < 6; turn++) {
    for (const [query, wanted] of [
      ["number7", "d7"],
      [`number${DOCUMENTS - 1}`, `d${DOCUMENTS - 1}`],
      ["pistachio", "last"],
      ["marmalade", "between"],
    ] as const) {
      for (const mode of ["keyword", "semantic"]) {
        const answer = await server.call("POST /api/v1/collections/rules/search", {
          query: mode === "keyword" ? query : `rule ${query}`,
          mode,
          k: 20,
        });
        expect(idsOf(answer), `${mode} ${query}`).toContain(wanted);
      }
    }
  }
  expect((await server.call("POST /api/v1/admin/verify")).json).toMatchObject({ ok: true });
  expect(await server.log()).not.toContain("index.follow_failed");
});
