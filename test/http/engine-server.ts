import { SearchResultSchema } from "../../src/contract/search.ts";
import { ENGINE_COMMAND } from "../../src/engine/child-command.ts";
import { childrenOf } from "../support/child-processes.ts";
import { startServer, type Answer, type TestServer } from "../support/server.ts";
import { createRules, read, writeRules } from "./answers.ts";

export const SEARCH = "POST /api/v1/collections/rules/search";
export const DOCUMENTS = "POST /api/v1/collections/rules/documents";

/** A server with two engines in processes of their own, or as many as `env` says. */
export const startEngines = (env: Record<string, string> = {}): Promise<TestServer> =>
  startServer({ env: { ENGINES: "2", VECTOR_INDEX: "exact", ...env } });

/** Query engines in the order of their numbers; a server that embeds nothing has no other children. */
export const enginesInOrder = (): number[] => childrenOf(ENGINE_COMMAND).toSorted((a, b) => a - b);

/** Ids of the hits of a search, best first. */
export const idsIn = (answer: Answer): string[] =>
  read(SearchResultSchema, answer).hits.map(({ id }) => id);

const RULES = Array.from({ length: 12 }, (_, at) => ({
  id: `d${at}`,
  ...(at % 3 === 0 ? { title: "Flags" } : {}),
  text: ["A red flag stops the race.", "Yellow flags mean danger.", "Rain tyres are wet."][at % 3],
  metadata: { lap: at % 4 },
}));

/** The collection `rules` of a model, with some documents and an alias. */
export async function fill(server: TestServer): Promise<void> {
  await createRules(server);
  await writeRules(server, RULES);
  await server.call("PUT /api/v1/aliases/live", { collection: "rules" });
}
