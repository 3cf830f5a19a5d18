/**
 * Writes what a server answers and logs into `docs/operations.md`: `bun run operations`. It starts a real server over an
 * empty folder, asks it by curl, and puts times, ids, sizes and versions to fixed values, so that a page that says the
 * same is the same text.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, logLines, startServerProgram } from "../test/support/process.ts";

const PAGE = "docs/operations.md";

/** As the page shows it, whatever port the server had. */
const SHOWN_URL = "http://127.0.0.1:8000";

/** A command, what it printed, and what the server logged of it. */
export interface Exchange {
  title: string;
  command: string;
  /** As the page says it: `Status 200`, `Exit code 0`. */
  outcome: string;
  /** What was printed; empty where that was nothing. */
  answer: string;
  log: readonly Record<string, unknown>[];
}

interface Ask {
  title: string;
  /** After `curl -s`, with `URL` in place of the address. */
  arguments: string;
  /** The id that the request is sent with, by which its lines of the log are found. */
  id: string;
}

const JSON_TYPE = "-H 'Content-Type: application/json'";

const SETUP: readonly string[] = [
  `URL/api/v1/collections ${JSON_TYPE} -d '{"name":"rules","model":"static-256"}'`,
  `'URL/api/v1/collections/rules/documents?wait=indexed' ${JSON_TYPE} -d '{"documents":[{"id":"red","text":"A red flag stops the race."}]}'`,
];

const ASKS: readonly Ask[] = [
  { title: "Does it live?", arguments: "URL/health/live", id: "live-1" },
  { title: "Is it ready?", arguments: "URL/health/ready", id: "ready-1" },
  { title: "Has it started?", arguments: "URL/health/startup", id: "startup-1" },
  { title: "All in one", arguments: "URL/health", id: "health-1" },
  { title: "Which version is it?", arguments: "URL/version", id: "version-1" },
  {
    title: "A search",
    arguments: `URL/api/v1/collections/rules/search ${JSON_TYPE} -d '{"query":"what ends a race","k":1}'`,
    id: "search-1",
  },
  {
    title: "A request that fails",
    arguments: "URL/api/v1/collections/none",
    id: "fails-1",
  },
  { title: "Its numbers", arguments: "URL/metrics", id: "metrics-1" },
];

/** Lines of the numbers that the page shows. */
const METRIC_LINES = 8;

/** Starts a server over an empty folder, asks, stops it, and gives all that was said, with fixed values. */
export async function record(): Promise<Exchange[]> {
  const folder = mkdtempSync(join(tmpdir(), "slipstream-operations-"));
  try {
    const env = { APP_ENVIRONMENT: "production", ENGINES: "1", STARTUP_MIN_UPTIME: "0" };
    await using server = await startServerProgram("db", { cwd: folder, env });
    await eventually("the server has started", () =>
      logLines(server).some(({ event }) => event === "app.started") ? true : undefined,
    );
    for (const line of SETUP) await shell(`curl -sf ${line}`, server.url);
    const exchanges: Exchange[] = [];
    for (const one of ASKS) {
      const exchange = await ask(one, server.url);
      const log = await eventually(`the end of ${one.id} is logged`, () => {
        const own = logLines(server).filter((line) => line["request_id"] === one.id);
        return own.some((line) => line["event"] === "request_completed") ? own : undefined;
      });
      exchanges.push({ ...exchange, log: log.map(fixedFields) });
    }
    server.signal("SIGTERM");
    const code = await server.exited;
    const lines = logLines(server);
    const from = lines.findIndex(({ event }) => event === "process.signal");
    exchanges.push({
      title: "A stop",
      command: "kill -TERM PID",
      outcome: `Exit code ${code}`,
      answer: "",
      log: lines.slice(from).map(fixedFields),
    });
    return exchanges;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Asks once; what is shown of the answer is what the shown command prints. */
async function ask(
  { title, arguments: args, id }: Ask,
  url: string,
): Promise<Omit<Exchange, "log">> {
  const command = `curl -s ${args} -H 'X-Request-ID: ${id}'`;
  const printed = await shell(`${command} -w '\\n%{http_code}'`, url);
  const end = printed.lastIndexOf("\n");
  const outcome = `Status ${printed.slice(end + 1)}`;
  const shown = command.replace("URL", SHOWN_URL);
  const body = printed.slice(0, end);
  if (!body.startsWith("{")) {
    const answer = body.split("\n").slice(0, METRIC_LINES).join("\n");
    return { title, command: `${shown} | head -n ${METRIC_LINES}`, outcome, answer };
  }
  const parsed: unknown = JSON.parse(body);
  return { title, command: shown, outcome, answer: JSON.stringify(fixed(parsed), null, 2) };
}

async function shell(command: string, url: string): Promise<string> {
  const child = Bun.spawn(["sh", "-c", command.replace("URL", url)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [text, errors, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${errors}`);
  return text;
}

/** What differs from one run or machine to the next, and what stands for it. */
const FIXED: Readonly<Record<string, number | string>> = {
  duration_ms: 1.25,
  latency_ms: 0.05,
  took_ms: 1.25,
  start_ms: 1.25,
  uptime_seconds: 12.5,
  free_bytes: 50_000_000_000,
  score: 0.5,
  user_agent: "curl/8.0",
  version: "1.2.3",
  commit: "0123456",
  bun: "1.4.5",
};

function fixedFields(line: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(line).map(([key, value]) => [key, fixed(value, key)]));
}

/** A value with what stands for its numbers, times and ids. */
function fixed(value: unknown, key = ""): unknown {
  if (value === null || value === undefined || typeof value === "boolean") return value;
  const stand = FIXED[key];
  if (stand !== undefined && typeof value === typeof stand) return stand;
  if (Array.isArray(value)) return value.map((one) => fixed(one, key));
  if (typeof value === "object") return fixedFields({ ...value });
  if (typeof value === "string")
    return value.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "2026-01-01T12:00:00.000Z");
  return value;
}

/** A block of code, or nothing where there is none. */
const block = (language: string, text: string): string[] =>
  text === "" ? [] : [`\`\`\`${language}`, text, "```", ""];

/** An exchange as the page shows it. */
function textOf({ title, command, outcome, answer, log }: Exchange): string {
  return [
    `### ${title}`,
    "",
    ...block("sh", command),
    `${outcome}${answer === "" ? "." : ":"}`,
    "",
    ...block(answer.startsWith("{") ? "json" : "text", answer),
    "In the log:",
    "",
    ...block("jsonl", log.map((line) => JSON.stringify(line)).join("\n")),
  ].join("\n");
}

const MARKED = /(<!-- recorded: [^>]*-->\n)[\s\S]*?(<!-- \/recorded -->)/;

/** A page with its recorded part made anew. @throws Error where it has no marks */
export function withExchanges(page: string, exchanges: readonly Exchange[]): string {
  if (!MARKED.test(page)) throw new Error(`${PAGE} has no marks for what is recorded`);
  const part = exchanges.map(textOf).join("\n");
  return page.replace(MARKED, (_, begin: string, end: string) => `${begin}\n${part}\n${end}`);
}

/** What a page shows, read back out of its recorded part. */
export function exchangesOf(page: string): Exchange[] {
  const [part = ""] = MARKED.exec(page) ?? [];
  return part
    .split(/^### /m)
    .slice(1)
    .map((text) => {
      const blocks = [...text.matchAll(/^```(\w+)\n([\s\S]*?)\n```$/gm)];
      const blockOf = (...languages: string[]): string =>
        blocks.find(([, language = ""]) => languages.includes(language))?.[2] ?? "";
      return {
        title: text.slice(0, text.indexOf("\n")),
        command: blockOf("sh"),
        outcome: /^((?:Status|Exit code) \d+)[.:]$/m.exec(text)?.[1] ?? "",
        answer: blockOf("json", "text"),
        log: blockOf("jsonl")
          .split("\n")
          .map((line): Record<string, unknown> => JSON.parse(line)),
      };
    });
}

if (import.meta.main) {
  const page = await Bun.file(PAGE).text();
  await Bun.write(PAGE, withExchanges(page, await record()));
}
