import { loadStemmer, type Stem } from "./stemmers.ts";

/** A word of a text in its index form. `start` and `end` are UTF-16 code units, half-open; `position` counts words. */
export interface Token {
  form: string;
  start: number;
  end: number;
  position: number;
}

/** Called for each word of a text, in order. */
export type VisitWord = (form: string, start: number, end: number) => void;

/** Turns text into the words that the index knows. */
export interface Analyser {
  readonly language: string;
  /** Calls `visit` for each word of a text, in order. */
  readonly scan: (text: string, visit: VisitWord) => void;
  readonly tokens: (text: string) => Token[];
  /** The index form of one word: folded and stemmed. */
  readonly form: (word: string) => string;
  /** The word in small letters and without diacritics, not stemmed. */
  readonly fold: (word: string) => string;
}

/** Words whose form is remembered; stemming takes ten times as long as a look-up. */
const CACHED_WORDS_MAX = 65_536;
/** Longer words are rare and would fill the cache with noise. */
const CACHED_UNITS_MAX = 40;
/** A longer word is known by its first part: nobody types it, and the dictionary holds it once more for each text. */
const FORM_UNITS_MAX = 256;

const opened = new Map<string, Promise<Analyser>>();

/**
 * The analyser of a language, one for all that ask. A word is a run of letters, digits and marks, as FTS5's `unicode61`
 * has it, but that marks which are no diacritics stay in the word instead of parting it.
 * @throws Problem invalid_request for a language that is not in `KEYWORD_LANGUAGES`
 */
export function createAnalyser(language: string): Promise<Analyser> {
  const known = opened.get(language);
  if (known !== undefined) return known;
  const fresh = loadStemmer(language).then((stem) => analyserWith(language, stem));
  opened.set(language, fresh);
  fresh.catch(() => opened.delete(language));
  return fresh;
}

function analyserWith(language: string, stem: Stem): Analyser {
  // Snowball's rules name accented endings, so those languages are folded after stemming. FTS5's Porter folds before.
  const foldFirst = language === "english" || language === "none";
  const bare = (word: string): string =>
    foldFirst ? stem(foldWord(word)) : foldWord(stem(word.normalize("NFC").toLowerCase()));
  const toForm = (word: string): string => cut(bare(word) || word);
  const form = remember(toForm);
  const scan = (text: string, visit: VisitWord): void => scanWords(text, form, visit);
  return {
    language,
    scan,
    tokens(text) {
      const found: Token[] = [];
      scan(text, (one, start, end) =>
        found.push({ form: one, start, end, position: found.length }),
      );
      return found;
    },
    form,
    fold: (word) => cut(foldWord(word)),
  };
}

function remember(toForm: (word: string) => string): (word: string) => string {
  const known = new Map<string, string>();
  return (word) => {
    const cached = known.get(word);
    if (cached !== undefined) return cached;
    const fresh = toForm(word);
    if (word.length > CACHED_UNITS_MAX) return fresh;
    if (known.size >= CACHED_WORDS_MAX) known.clear();
    // A slice shares the memory of its text, so a copy is kept; most forms are the word itself or a slice of it.
    const owned = Buffer.from(word, "utf16le").toString("utf16le");
    const kept = fresh === word ? owned : Buffer.from(fresh, "utf16le").toString("utf16le");
    known.set(owned, kept);
    return kept;
  };
}

const OTHER = 0;
const WORD = 1;
const SURROGATE = 2;

/** What each UTF-16 code unit is, one byte each. */
const KINDS = classify();
const WORD_PATTERN = /^[\p{L}\p{N}\p{M}\p{Co}]$/u;

function classify(): Uint8Array {
  const kinds = new Uint8Array(0x1_00_00);
  let all = "";
  for (let unit = 0; unit < 0xd8_00; unit++) all += String.fromCharCode(unit);
  for (let unit = 0xe0_00; unit <= 0xff_ff; unit++) all += String.fromCharCode(unit);
  for (const { 0: one } of all.matchAll(/[\p{L}\p{N}\p{M}\p{Co}]/gu))
    kinds[one.charCodeAt(0)] = WORD;
  kinds.fill(SURROGATE, 0xd8_00, 0xe0_00);
  return kinds;
}

/** Code units of the word character at `at`, 0 where there is none. A surrogate without its other half is none. */
function wordUnits(text: string, at: number): number {
  const kind = KINDS[text.charCodeAt(at)];
  if (kind === WORD) return 1;
  if (kind !== SURROGATE) return OTHER;
  const point = text.codePointAt(at) ?? 0;
  return point > 0xff_ff && WORD_PATTERN.test(String.fromCodePoint(point)) ? 2 : 0;
}

function scanWords(text: string, form: (word: string) => string, visit: VisitWord): void {
  const length = text.length;
  let at = 0;
  while (at < length) {
    let units = wordUnits(text, at);
    if (units === 0) {
      at++;
      continue;
    }
    const start = at;
    do {
      at += units;
      units = at < length ? wordUnits(text, at) : 0;
    } while (units > 0);
    visit(form(text.slice(start, at)), start, at);
  }
}

/** As `remove_diacritics 2`: Latin letters lose their diacritics, letters of other scripts keep theirs. */
function foldWord(word: string): string {
  const small = word.toLowerCase();
  // eslint-disable-next-line no-control-regex -- ASCII as a whole is meant: nothing in it can be folded.
  if (/^[\u0000-\u007f]*$/.test(small)) return small;
  return small
    .normalize("NFD")
    .replaceAll(/([a-z])[\u0300-\u036f]+/g, "$1")
    .normalize("NFC")
    .replaceAll("ς", "σ");
}

function cut(form: string): string {
  if (form.length <= FORM_UNITS_MAX) return form;
  const whole = form.codePointAt(FORM_UNITS_MAX - 1) ?? 0;
  return form.slice(0, whole > 0xff_ff ? FORM_UNITS_MAX - 1 : FORM_UNITS_MAX);
}
