import { Tokenizer } from "@huggingface/tokenizers";
import { assert } from "../problems.ts";
import { createAsciiWordPieces } from "./ascii-word-pieces.ts";
import type { CountTokens, Tokenized } from "./embedder.ts";
import { textSlices } from "./text-slices.ts";

/**
 * Characters read for each token of the window. Real text has 4 to 5; only a text made of over-long words has more, and
 * without this bound such a text of 2 MB would hold the thread for most of a second.
 */
const CHARS_PER_TOKEN_MAX = 512;

/** A text as ids of a model. */
export interface ModelTokens extends Tokenized {
  /** True if one of the ids stands for a piece of the vocabulary, not only for special and unknown tokens. */
  known: boolean;
}

/** Cuts texts into the ids of one vocabulary. */
export interface ModelTokenizer {
  /** [CLS], the first tokens of the text, [SEP]: at most `tokensMax` ids. The time is bounded whatever the text's length. */
  encode(text: string): ModelTokens;
  /** The same without [CLS] and [SEP]: at most `tokensMax` - 2 ids. */
  firstTokens(text: string): Tokenized;
  /** Tokens of the whole text without [CLS] and [SEP]. O(n): about 0.1 ms a kilobyte. */
  countTokens: CountTokens;
}

/**
 * Makes a tokenizer from the content of a `tokenizer.json` that has been verified. Takes about 40 ms.
 * The library follows neither the file's truncation nor its padding, so both are done here; and plain ASCII, of which most
 * texts are, is cut into tokens without it.
 */
export function createTokenizer(json: Uint8Array, tokensMax: number): ModelTokenizer {
  const definition: unknown = JSON.parse(new TextDecoder().decode(json));
  assert(typeof definition === "object" && definition !== null, "tokenizer.json holds an object");
  // An empty configuration: of what it can hold, nothing concerns encoding with WordPiece.
  const library = new Tokenizer(definition, {});
  assert(library.model !== null, "tokenizer.json has a vocabulary");
  const asciiIds = createAsciiWordPieces(library.model.tokens_to_ids);
  const tokenIds = (slice: string) =>
    asciiIds(slice) ?? library.encode(slice, { add_special_tokens: false }).ids;
  const special = new Set(library.get_added_tokens_decoder().keys());
  const [cls, sep] = [library.token_to_id("[CLS]"), library.token_to_id("[SEP]")];
  assert(cls !== undefined && sep !== undefined, "the vocabulary has [CLS] and [SEP]");
  const firstTokens = (text: string) => readFirst(text, tokensMax - 2, tokenIds);

  return {
    firstTokens,
    encode(text) {
      const { ids, truncated } = firstTokens(text);
      const known = ids.some((id) => !special.has(id));
      return { ids: [cls, ...ids, sep], truncated, known };
    },
    countTokens(text) {
      let count = 0;
      for (const slice of textSlices(text)) count += tokenIds(slice).length;
      return count;
    },
  };
}

function readFirst(text: string, count: number, tokenIds: (slice: string) => number[]): Tokenized {
  const ids: number[] = [];
  let charsLeft = count * CHARS_PER_TOKEN_MAX;
  for (const slice of textSlices(text)) {
    if (charsLeft <= 0) return { ids, truncated: true };
    charsLeft -= slice.length;
    for (const id of tokenIds(slice)) {
      if (ids.length === count) return { ids, truncated: true };
      ids.push(id);
    }
  }
  return { ids, truncated: false };
}
