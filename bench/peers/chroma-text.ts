import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { RoundReport } from "../support/load-rounds.ts";
import type { Passage } from "../support/load-passages.ts";
import { startChroma } from "./chroma.ts";

/** How Chroma embeds: as it does by default, which opens the model anew at each call, or with its class kept open. */
export type ChromaEmbedder = "default" | "kept";

/** Chroma's Python client over its server. */
export interface ChromaText extends AsyncDisposable {
  /** Embeds and stores the passages; gives the seconds, with the model kept open. */
  fill(): Promise<number>;
  round(round: ChromaRound): Promise<RoundReport>;
}

interface ChromaRound {
  embedder: ChromaEmbedder;
  connections: number;
  seconds: number;
}

interface Texts {
  passages: readonly Passage[];
  queries: readonly string[];
}

/** Starts a server and a client. `folder` is for its data. */
export async function startChromaText(
  install: string,
  folder: string,
  texts: Texts,
): Promise<ChromaText> {
  const dataDir = join(folder, "data");
  mkdirSync(dataDir, { recursive: true });
  const server = await startChroma({ install, dataDir });
  const textsPath = join(folder, "texts.json");
  await Bun.write(textsPath, JSON.stringify(texts));
  const script = join(import.meta.dir, "chroma_text.py");
  const python = join(install, "python/bin/python");
  const client = Bun.spawn([python, script, String(server.port), textsPath], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, HOME: join(install, "home"), ANONYMIZED_TELEMETRY: "False" },
  });
  const lines = client.stdout.pipeThrough(new TextDecoderStream()).getReader();
  /** One command is under way at a time and its answer is one short line, so a line is never in two pieces with another. */
  const ask = async (command: object): Promise<string> => {
    await client.stdin.write(`${JSON.stringify(command)}\n`);
    await client.stdin.flush();
    for (let answer = ""; ;) {
      const { done, value } = await lines.read();
      if (done) throw new Error("Chroma's client ended");
      answer += value;
      if (answer.endsWith("\n")) return answer;
    }
  };
  return {
    async fill() {
      const answer: { seconds: number } = JSON.parse(await ask({ kind: "fill" }));
      return answer.seconds;
    },
    async round(round) {
      const answer: RoundReport = JSON.parse(await ask({ kind: "round", ...round }));
      return answer;
    },
    async [Symbol.asyncDispose]() {
      await client.stdin.end();
      await client.exited;
      await server.child[Symbol.asyncDispose]();
    },
  };
}
