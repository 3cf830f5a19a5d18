import { expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { openProgram } from "../../src/boot/program.ts";
import { parseConfig } from "../../src/config.ts";
import { SearchResultSchema } from "../../src/contract/search.ts";
import { findFiles } from "../../src/ingest/find-files.ts";
import { readDocuments } from "../../src/ingest/read-file.ts";
import { tempDir } from "../support/temp-dir.ts";
import questions from "./sample-queries.json" with { type: "json" };

/** Questions of the sample corpus whose answer must be among the first five hits. */
const MODELS = ["all-MiniLM-L6-v2", "static-256"];

async function sampleLines(): Promise<string> {
  const lines: string[] = [];
  for await (const file of findFiles(["data/sample"])) {
    if (file.kind !== "file") continue;
    for await (const result of readDocuments(file)) {
      expect(result.ok).toBe(true);
      if (result.ok) lines.push(JSON.stringify(result.document));
    }
  }
  return lines.join("\n");
}

for (const model of MODELS) {
  test(`${model} answers questions about the sample corpus`, async () => {
    using dir = tempDir();
    await using program = await openProgram(parseConfig({ DATA_DIR: dir.path, ENGINES: "0" }));
    const call = async (
      path: string,
      body: unknown,
      type = "application/json",
    ): Promise<Response> => {
      const text = typeof body === "string" ? body : JSON.stringify(body);
      const init = { method: "POST", body: text, headers: { "content-type": type } };
      const response = await program.front.handle(
        new Request(`http://localhost/api/v1/collections${path}`, init),
      );
      expect(response.status).toBeLessThan(300);
      return response;
    };
    await call("", { name: "sample", model });
    await (
      await call("/sample/documents?wait=indexed", await sampleLines(), "application/x-ndjson")
    ).text();
    const missed: string[] = [];
    for (const { query, expect: wanted } of questions) {
      const response = await call("/sample/search", { query, k: 5, group_by: "chunk" });
      const { hits } = Value.Parse(SearchResultSchema, await response.json());
      if (!hits.some((hit) => hit.chunk?.heading === wanted || hit.id === wanted))
        missed.push(query);
    }
    expect(missed).toEqual([]);
  }, 60_000);
}
