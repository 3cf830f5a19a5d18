import { Value } from "@sinclair/typebox/value";
import { CollectionSchema } from "../contract/collections.ts";
import { findFiles, type FoundFile } from "../ingest/find-files.ts";
import { readDocuments } from "../ingest/read-file.ts";
import { encodeUtf8 } from "../lib/text.ts";
import { withTarget } from "./command-context.ts";
import { printResult, say } from "./output.ts";
import { ProgressBar } from "./progress.ts";
import { readResults, type IngestResult } from "./ingest-results.ts";
import { ApiError, jsonBody, readAnswer, type Target } from "./target.ts";

export interface IngestOptions {
  collection: string;
  model?: string;
  wait: boolean;
  json?: boolean;
}

/** Problems shown one by one; the summary counts them all. */
const PROBLEMS_SHOWN_MAX = 20;

const POLL_MS = 100;

/** Reads files and puts their documents into a collection. Resolves to 1 where a file or document failed. */
export async function ingestCommand(
  paths: readonly string[],
  options: IngestOptions,
): Promise<number> {
  const stop = new AbortController();
  const interrupt = () => (stop.signal.aborted ? process.exit(1) : stop.abort());
  process.on("SIGINT", interrupt);
  try {
    const job = new IngestJob(options, stop.signal);
    const summary = await withTarget((target) => job.run(target, paths), { engines: true });
    report(summary, options);
    return summary.failed > 0 || summary.interrupted ? 1 : 0;
  } finally {
    process.off("SIGINT", interrupt);
  }
}

interface Summary extends IngestResult {
  collection: string;
  files: number;
  pending_embeddings: number;
  seconds: number;
  /** True if files were left unread because the person said so. */
  interrupted: boolean;
}

class IngestJob {
  readonly #options: IngestOptions;
  readonly #stop: AbortSignal;
  #bytesRead = 0;
  #failedToRead = 0;
  #shown = 0;
  #cutShort = false;

  constructor(options: IngestOptions, stop: AbortSignal) {
    this.#options = options;
    this.#stop = stop;
  }

  async run(target: Target, paths: readonly string[]): Promise<Summary> {
    const start = performance.now();
    const files = await this.#find(paths);
    await ensureCollection(target, this.#options);
    const result = await this.#send(target, files);
    const pending = this.#options.wait
      ? await this.#waitForEmbeddings(target)
      : await readPending(target, this.#options);
    return {
      collection: this.#options.collection,
      files: files.length,
      upserted: result.upserted,
      failed: result.failed + this.#failedToRead,
      pending_embeddings: pending,
      seconds: Math.round((performance.now() - start) / 10) / 100,
      interrupted: this.#cutShort,
    };
  }

  async #find(paths: readonly string[]): Promise<FoundFile[]> {
    const files: FoundFile[] = [];
    for await (const entry of findFiles(paths)) {
      if (entry.kind === "file") files.push(entry);
      else if (entry.kind === "problem") this.#complain(`${entry.path}: ${entry.message}`);
      else say(`${entry.path}: left out ${entry.count} of other kinds.`);
    }
    return files;
  }

  async #send(target: Target, files: readonly FoundFile[]): Promise<IngestResult> {
    const total = files.reduce((sum, file) => sum + file.bytes, 0);
    using bar = new ProgressBar("ingest", "documents", process.stderr.isTTY);
    const body = streamOf(this.#lines(files));
    const path = `/api/v1/collections/${encodeURIComponent(this.#options.collection)}/documents`;
    const init = {
      method: "POST",
      body,
      headers: { "content-type": "application/x-ndjson" },
      duplex: "half" as const,
    };
    const response = await target.call(path, init);
    if (!response.ok) await readAnswer(response);
    return readResults(response, {
      onDocument: (count) => bar.update({ done: this.#bytesRead, total, count }),
      onFailure: (sentence) => this.#complain(sentence, false),
    });
  }

  /** One JSON line a document. Stops between two of them when told to; what was sent will be committed. */
  async *#lines(files: readonly FoundFile[]): AsyncGenerator<Uint8Array> {
    for (const file of files) {
      for await (const result of readDocuments(file)) {
        if (this.#stop.aborted) {
          this.#cutShort = true;
          return;
        }
        if (result.ok) yield encodeUtf8(`${JSON.stringify(result.document)}\n`);
        else
          this.#complain(
            `${file.path}${result.line === undefined ? "" : `:${result.line}`}: ${result.message}`,
          );
      }
      this.#bytesRead += file.bytes;
    }
  }

  #complain(sentence: string, unread = true): void {
    if (unread) this.#failedToRead++;
    if (++this.#shown <= PROBLEMS_SHOWN_MAX) say(sentence);
    else if (this.#shown === PROBLEMS_SHOWN_MAX + 1) say("(further problems are only counted)");
  }

  async #waitForEmbeddings(target: Target): Promise<number> {
    using bar = new ProgressBar("embed ", "chunks", process.stderr.isTTY);
    const total = await readPending(target, this.#options);
    let pending = total;
    while (pending > 0 && !this.#stop.aborted) {
      await Bun.sleep(POLL_MS);
      pending = await readPending(target, this.#options);
      bar.update({ done: total - pending, total, count: total - pending });
    }
    return pending;
  }
}

/** A stream that asks for the next line only when the other side takes one. */
function streamOf(lines: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const next = await lines.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
  });
}

async function ensureCollection(
  target: Target,
  { collection, model }: IngestOptions,
): Promise<void> {
  try {
    await readAnswer(
      await target.call("/api/v1/collections", jsonBody("POST", { name: collection, model })),
    );
  } catch (error) {
    // It is there already, or an alias of that name is.
    if (!(error instanceof ApiError && error.code === "name_taken")) throw error;
  }
}

async function readPending(target: Target, { collection }: IngestOptions): Promise<number> {
  const answer = await readAnswer(
    await target.call(`/api/v1/collections/${encodeURIComponent(collection)}`),
  );
  return Value.Parse(CollectionSchema, answer).pending_embeddings;
}

function report(summary: Summary, { json, collection }: IngestOptions): void {
  const { upserted, failed, files, seconds, pending_embeddings, interrupted } = summary;
  if (json) {
    printResult(JSON.stringify(summary));
    return;
  }
  const trouble = failed > 0 ? `, ${failed} failed` : "";
  printResult(
    `${upserted} documents from ${files} files are in ${collection}${trouble} (${seconds.toFixed(1)} s).`,
  );
  if (pending_embeddings > 0) {
    printResult(
      `${pending_embeddings} chunks wait for the model and can be found by their words; the next run goes on with them.`,
    );
  }
  if (interrupted) say("Stopped early: what is counted above is committed, the rest was not read.");
}
