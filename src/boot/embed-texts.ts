import type { DocumentsDeps } from "../documents/documents.ts";
import { prepareDocuments } from "../documents/prepare.ts";
import type { Embedder } from "../embedding/embedder.ts";
import type { EmbedTexts } from "../http/routes/openai.ts";

/** What embeds, and counts tokens to prepare documents, in this process. */
export interface Embedding {
  embed: (model: string, texts: readonly string[]) => Promise<(Float32Array | undefined)[]>;
  tokenCounter: (model: string) => Promise<(text: string) => number>;
  prepare: DocumentsDeps["prepare"];
  embedTexts: EmbedTexts;
}

interface OpensModels {
  open(model: string): Promise<Pick<Embedder, "embed" | "countTokens">>;
}

/** Embedding by models of this process, each loaded at its first use. */
export function embedderOf(models: OpensModels): Embedding {
  const embed = async (model: string, texts: readonly string[]) =>
    (await models.open(model)).embed(texts);
  const tokenCounter = async (model: string) => {
    const opened = await models.open(model);
    return (text: string) => opened.countTokens(text);
  };
  return {
    embed,
    tokenCounter,
    async prepare(inputs, { collection, ids }) {
      const countTokens = await tokenCounter(collection.model);
      return prepareDocuments(inputs, { ids, collection, countTokens });
    },
    async embedTexts(model, texts) {
      const count = await tokenCounter(model);
      const tokens = texts.reduce((sum, text) => sum + count(text), 0);
      return { vectors: await embed(model, texts), tokens };
    },
  };
}
