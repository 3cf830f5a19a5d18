import { dlopen, FFIType } from "bun:ffi";
import type * as onnxRuntime from "onnxruntime-node";
import { Problem } from "../../problems.ts";

/** All of onnxruntime-node's exports. */
export type OnnxRuntime = typeof onnxRuntime;

/**
 * Loads ONNX Runtime: the only way to it, so that its telemetry is off before it starts. Blocks for 7 to 100 ms the first
 * time; later calls give the same module.
 * @throws Problem `native_missing` when the library or its switch cannot be loaded
 */
export async function loadOnnxRuntime(): Promise<OnnxRuntime> {
  try {
    turnTelemetryOff();
    return await import("onnxruntime-node");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Problem("native_missing", reason, { cause });
  }
}

/**
 * From 1.29 on, ONNX Runtime on Linux and macOS sends usage events to its vendor, and writes a device id and a queue of
 * events under ~/.cache/Microsoft, unless ORT_DISABLE_TELEMETRY is in the environment when it starts. It asks the C
 * library, which an assignment to process.env does not reach in Bun (measured on 1.4.5), so the C library is told itself.
 */
function turnTelemetryOff(): void {
  const name = process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6";
  const library = dlopen(name, {
    setenv: { args: [FFIType.cstring, FFIType.cstring, FFIType.i32], returns: FFIType.i32 },
  });
  const variable = Buffer.from("ORT_DISABLE_TELEMETRY\0");
  const failed = library.symbols.setenv(variable, Buffer.from("1\0"), 1);
  library.close();
  if (failed !== 0) throw new Error("the telemetry of ONNX Runtime could not be turned off");
}
