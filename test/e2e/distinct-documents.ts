import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestDocument } from "./upsert-client.ts";

const SAMPLE = join(import.meta.dir, "../../data/sample");
/** Words of one document: few enough that a transformer reads dozens of them a second, enough that no two are near. */
const WORDS = 12;

/** A number below 1 at each call, the same ones for the same seed (mulberry32, T. Ettinger). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The word that only the document of this id has. Digits, since a stem of letters could be another word's. */
export function keywordOf(id: string): string {
  return `keyword${id}`;
}

/** Makes documents `<prefix>0`, `<prefix>1`, …: each a handful of words of the sample of its own, and its keyword. */
export function distinctDocuments(random: () => number): (id: string) => TestDocument {
  const words = sampleWords();
  return (id) => {
    const chosen = Array.from({ length: WORDS }, () => words[Math.floor(random() * words.length)]);
    return { id, text: `${chosen.join(" ")} ${keywordOf(id)}` };
  };
}

function sampleWords(): string[] {
  const files = readdirSync(SAMPLE).filter((name) => name.endsWith(".md"));
  const text = files.map((name) => readFileSync(join(SAMPLE, name), "utf8")).join(" ");
  return [...new Set(text.toLowerCase().match(/\b[a-z]{5,}\b/g))].toSorted();
}
