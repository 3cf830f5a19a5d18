import type { InferenceSession } from "onnxruntime-node";
import { assert, Problem } from "../problems.ts";
import { loadOnnxRuntime } from "./native/onnxruntime.ts";

/** A loaded sentence model: ids in, one vector out. */
export interface OnnxSession {
  /**
   * The vector of one sequence of ids, a copy that the caller owns. Lets the event loop turn once, then blocks the thread while
   * it computes, 0.1 to 0.25 ms a token.
   * @throws whatever the runtime reports, such as an id outside of the vocabulary
   */
  run(ids: readonly number[]): Promise<Float32Array>;
  /** Frees the native memory. No `run` may be going on or follow. */
  release(): Promise<void>;
}

/**
 * How sessions are opened. One thread: with a second one the runtime spins between operators, and on a machine that does other work a text then takes
 * up to three times as long. More texts at once come from more processes.
 */
export const onnxSessionOptions: InferenceSession.SessionOptions = {
  executionProviders: ["cpu"],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: "sequential",
  // Without VNNI the fast int8 product overflows its 16-bit sums: on an AVX2 machine the lowest cosine to the float32 model
  // was 0.979 and another machine's vectors were not ours. The exact product gives 0.987 like a machine with VNNI, for a fifth
  // more time; where there is VNNI the setting changes nothing.
  extra: { session: { x64quantprecision: "1" } },
};

/**
 * Opens verified weights of a BERT model whose graph pools and normalises: inputs `input_ids`, `attention_mask` and
 * `token_type_ids` (int64, [1, tokens]), output `sentence_embedding` (float32, [1, dimensions]). Blocks for about 100 ms.
 * The bytes are given to the runtime and not a path, so that what was hashed is what is loaded.
 * @throws Problem native_missing if onnxruntime cannot be loaded, model_damaged if it refuses the weights
 */
export async function openOnnxSession(weights: Uint8Array): Promise<OnnxSession> {
  const { InferenceSession, Tensor } = await loadOnnxRuntime();
  const session = await InferenceSession.create(weights, onnxSessionOptions).catch(
    (cause: unknown) => {
      throw new Problem("model_damaged", "The ONNX runtime refuses the model's weights.", {
        cause,
      });
    },
  );
  return {
    // The library's `run` waits for `setImmediate` before it computes, and gives no way to compute at once.
    async run(ids) {
      const shape = [1, ids.length];
      const feeds = {
        input_ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), shape),
        attention_mask: new Tensor("int64", new BigInt64Array(ids.length).fill(1n), shape),
        token_type_ids: new Tensor("int64", new BigInt64Array(ids.length), shape),
      };
      const { sentence_embedding: output } = await session.run(feeds);
      assert(output?.data instanceof Float32Array, "the model has the output sentence_embedding");
      return output.data.slice();
    },
    release: () => session.release(),
  };
}
