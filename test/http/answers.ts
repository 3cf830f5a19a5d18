import { expect } from "bun:test";
import { Type, type Static, type TSchema } from "@sinclair/typebox";
import { CollectionSchema } from "../../src/contract/collections.ts";
import { DocumentSchema, UpsertResultSchema } from "../../src/contract/documents.ts";
import { SearchResultSchema } from "../../src/contract/search.ts";
import { pageOf, ProblemSchema } from "../../src/contract/shared.ts";
import { PROBLEMS, type ProblemCode } from "../../src/problems.ts";
import { shaped, type Answer, type TestServer } from "../support/server.ts";

/** The body of an answer that must have succeeded and have this shape. */
export function read<T extends TSchema>(schema: T, answer: Answer): Static<T> {
  if (answer.status >= 300) throw new Error(`answered ${answer.status}: ${answer.text}`);
  return shaped(schema, answer.json);
}

export const readSearch = (answer: Answer) => read(SearchResultSchema, answer);
export const readUpsert = (answer: Answer) => read(UpsertResultSchema, answer);
export const readDocument = (answer: Answer) => read(DocumentSchema, answer);
export const readDocuments = (answer: Answer) => read(pageOf(DocumentSchema), answer);
export const readCollection = (answer: Answer) => read(CollectionSchema, answer);

/** The ids of a search's hits, best first. */
export function idsOf(answer: Answer): string[] {
  return readSearch(answer).hits.map((hit) => hit.id);
}

type ProblemAnswer = Static<typeof ProblemSchema>;

/** Fails unless the answer is this problem with every member that RFC 9457 and the contract promise. Gives it back. */
export function expectProblem(answer: Answer, status: number, code: ProblemCode): ProblemAnswer {
  expect({ status: answer.status, body: answer.json }).toMatchObject({ status, body: { code } });
  const problem = shaped(ProblemSchema, answer.json);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(problem).toMatchObject({ type: `/problems/${code}`, status, title: PROBLEMS[code].title });
  expect(problem.detail).not.toBe("");
  expect(problem.instance).toBe(problem.request_id);
  expect(answer.headers.get("x-request-id")).toBe(problem.request_id);
  expectNothingOfOurs(answer.text);
  return problem;
}

/** A request that is to be refused. Status and code stand apart so that a table reads like the contract. */
export interface Refusal {
  target: string;
  body?: unknown;
  headers?: Record<string, string>;
  status: number;
  code: ProblemCode;
}

/** Sends each request and compares all answers with the table at once, so that a failure names every wrong row. */
export async function expectRefused(
  server: TestServer,
  table: Readonly<Record<string, Refusal>>,
): Promise<void> {
  const wanted: Record<string, string> = {};
  const got: Record<string, string> = {};
  const answers: Answer[] = [];
  for (const [why, { target, body, headers, status, code }] of Object.entries(table)) {
    const answer = await server.call(target, body, headers);
    wanted[why] = `${status} ${code}`;
    got[why] = `${answer.status} ${codeOf(answer.json)}`;
    answers.push(answer);
  }
  expect(got).toEqual(wanted);
  for (const [index, { status, code }] of Object.values(table).entries()) {
    const answer = answers[index];
    if (answer !== undefined) expectProblem(answer, status, code);
  }
}

function codeOf(json: unknown): string {
  return typeof json === "object" && json !== null && "code" in json ? String(json.code) : "";
}

/** Fails where a text shows how we are made: a stack, a path of this machine, a library's name. */
export function expectNothingOfOurs(text: string): void {
  expect(text).not.toMatch(
    /\.ts\b|node_modules|\/work|\/tmp|\/home|\bat \w+ \(|SQLite|Elysia|bun:/,
  );
}

const OpenAiErrorShape = Type.Object(
  {
    error: Type.Object(
      {
        message: Type.String({ minLength: 1 }),
        type: Type.String(),
        param: Type.Union([Type.String(), Type.Null()]),
        code: Type.String(),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
);

/** Fails unless the answer is an error in OpenAI's shape and nothing besides. */
export function expectOpenAiError(answer: Answer, status: number, code: ProblemCode): void {
  expect({ status: answer.status, body: answer.json }).toMatchObject({
    status,
    body: { error: { code } },
  });
  const { error } = shaped(OpenAiErrorShape, answer.json);
  expect(error.type).toBe(status >= 500 ? "server_error" : "invalid_request_error");
  expect(answer.headers.get("content-type")).toBe("application/json");
  expect(answer.headers.get("x-request-id")).toMatch(/^[\w-]+$/);
  expectNothingOfOurs(answer.text);
}

/** A collection `rules`, of the small model unless `more` says else. */
export async function createRules(
  server: TestServer,
  more: Record<string, unknown> = {},
): Promise<void> {
  readCollection(await server.call("POST /api/v1/collections", { name: "rules", ...more }));
}

/** Writes documents to `rules` and waits until they are found by meaning. All must be taken. */
export async function writeRules(server: TestServer, documents: readonly unknown[]): Promise<void> {
  for (let start = 0; start < documents.length; start += 1000) {
    const slice = documents.slice(start, start + 1000);
    const path = "POST /api/v1/collections/rules/documents?wait=indexed";
    const result = readUpsert(await server.call(path, { documents: slice }));
    expect(result.items.filter((item) => item.status === "failed")).toEqual([]);
    expect(result.pending_embeddings).toBe(0);
  }
}

/** Every item of a list, page by page; fails if the list does not end. */
export async function readPages<T extends TSchema>(
  server: TestServer,
  item: T,
  target: string,
): Promise<Static<T>[][]> {
  const pages: Static<T>[][] = [];
  let cursor = "";
  while (pages.length < 1000) {
    const page = read(pageOf(item), await server.call(`${target}${cursor}`));
    pages.push(page.items);
    if (page.next_cursor === null) return pages;
    cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
  throw new Error("the list has no end");
}
