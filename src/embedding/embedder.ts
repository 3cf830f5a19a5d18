/** A text cut to the model's window. */
export interface Tokenized {
  /** Token ids, [CLS] and [SEP] included where the model has them; at most the model's window long. */
  ids: number[];
  /** True if the text was longer than the window. */
  truncated: boolean;
}

/** What is known of a model without loading it. */
export interface ModelInfo {
  /** The name users write. */
  name: string;
  dimensions: number;
  /** Longest input in tokens, special tokens included. */
  tokensMax: number;
  /** Share of the vector side in a weighted hybrid sum, 0…1, measured on real sets. */
  hybridWeight: number;
  /** sha256 over the weights: a collection stores it, so that it is never queried with other weights. */
  sha256: string;
  licence: string;
}

/** Counts tokens as the model does, without special tokens. */
export type CountTokens = (text: string) => number;

/**
 * Text -> unit vectors. The same text gives the same vector whatever it is batched with.
 * A text without any known token has no meaningful direction: `embed` gives `undefined` for it.
 */
export interface Embedder extends AsyncDisposable {
  readonly info: ModelInfo;
  countTokens: CountTokens;
  /** One vector per text, in order; `dimensions` long, L2-normalised, owned by the caller. */
  embed(texts: readonly string[]): Promise<(Float32Array | undefined)[]>;
}
