import { stemmer as porter } from "stemmer";
import type { KeywordLanguage } from "../contract/collections.ts";
import { Problem } from "../problems.ts";

/** A folded word's stem. */
export type Stem = (word: string) => string;

interface StemmerModule {
  stemmer: Stem;
}

/**
 * Snowball's algorithms, and for Ukrainian, Greek and some others ones of the same kind. Each is loaded when its first
 * collection is opened: all of them together take 40 ms to load.
 */
const MODULES = {
  arabic: () => import("@orama/stemmers/arabic"),
  armenian: () => import("@orama/stemmers/armenian"),
  bulgarian: () => import("@orama/stemmers/bulgarian"),
  danish: () => import("@orama/stemmers/danish"),
  dutch: () => import("@orama/stemmers/dutch"),
  finnish: () => import("@orama/stemmers/finnish"),
  french: () => import("@orama/stemmers/french"),
  german: () => import("@orama/stemmers/german"),
  greek: () => import("@orama/stemmers/greek"),
  hungarian: () => import("@orama/stemmers/hungarian"),
  indian: () => import("@orama/stemmers/indian"),
  indonesian: () => import("@orama/stemmers/indonesian"),
  irish: () => import("@orama/stemmers/irish"),
  italian: () => import("@orama/stemmers/italian"),
  lithuanian: () => import("@orama/stemmers/lithuanian"),
  nepali: () => import("@orama/stemmers/nepali"),
  norwegian: () => import("@orama/stemmers/norwegian"),
  portuguese: () => import("@orama/stemmers/portuguese"),
  romanian: () => import("@orama/stemmers/romanian"),
  russian: () => import("@orama/stemmers/russian"),
  serbian: () => import("@orama/stemmers/serbian"),
  spanish: () => import("@orama/stemmers/spanish"),
  swedish: () => import("@orama/stemmers/swedish"),
  tamil: () => import("@orama/stemmers/tamil"),
  turkish: () => import("@orama/stemmers/turkish"),
  ukrainian: () => import("@orama/stemmers/ukrainian"),
} satisfies Record<Exclude<KeywordLanguage, "none" | "english">, () => Promise<StemmerModule>>;
const modules: ReadonlyMap<string, () => Promise<StemmerModule>> = new Map(Object.entries(MODULES));

/** The stemmer of a language. @throws Problem invalid_request for a language that is not in `KEYWORD_LANGUAGES` */
export async function loadStemmer(language: string): Promise<Stem> {
  if (language === "none") return (word) => word;
  if (language === "english") return porterStem;
  const load = modules.get(language);
  if (load === undefined) {
    throw new Problem("invalid_request", `There is no stemmer for the language "${language}".`);
  }
  const { stemmer } = await load();
  return (word) => (word.length <= STEM_UNITS_MAX ? stemmer(word) || word : word);
}

/** Longer words are no words, and a stemmer's regular expressions may be slow on them. */
const STEM_UNITS_MAX = 64;

/** What FTS5 leaves as it is, in bytes of UTF-8: `FTS5_PORTER_MAX_TOKEN`. */
const PORTER_BYTES_MAX = 64;
const PORTER_BYTES_MIN = 3;

/** M. F. Porter, "An algorithm for suffix stripping", 1980, with the bounds of FTS5's. */
function porterStem(word: string): string {
  if (word.length > PORTER_BYTES_MAX) return word;
  const bytes = Buffer.byteLength(word);
  if (bytes < PORTER_BYTES_MIN || bytes > PORTER_BYTES_MAX) return word;
  return bytes === word.length ? porter(word) : porterStemOfBytes(word);
}

/** Where bytes past ASCII stand as characters of their own: for private use, so that nothing folds their case. */
const BYTE_UNITS = 0xe0_00;

/** FTS5 takes each byte past ASCII for a consonant, so "große" ends in three of them and not in one before its e. */
function porterStemOfBytes(word: string): string {
  const spread = Array.from(Buffer.from(word), (byte) =>
    String.fromCharCode(byte < 0x80 ? byte : BYTE_UNITS + byte),
  ).join("");
  const stem = Buffer.from(porter(spread), "utf16le");
  const bytes = Uint8Array.from({ length: stem.length / 2 }, (_, index) => stem[index * 2] ?? 0);
  const whole = Buffer.from(bytes).toString();
  // A doubled last byte may have been halved; such a word is no English one, and stays as it was.
  return whole.includes("\ufffd") ? word : whole;
}
