import { existsSync } from "node:fs";
import { join } from "node:path";

/** Where the files of one native package lie in node_modules. The addon is first; the rest must lie beside it. */
type NativeFiles = readonly [addon: string, ...libraries: string[]];

export type NativeName = "onnxruntime" | "usearch";

const ORT = "onnxruntime-node/bin/napi-v6";

/**
 * The systems that the binary can be built for: Linux with glibc and macOS, where both native packages ship files.
 * onnxruntime has none for macOS on Intel and none for musl. Windows is left out: the unpacking is written for POSIX.
 */
const TARGETS = new Map<string, Readonly<Record<NativeName, NativeFiles>>>(
  Object.entries({
    "bun-linux-x64": {
      onnxruntime: [
        `${ORT}/linux/x64/onnxruntime_binding.node`,
        `${ORT}/linux/x64/libonnxruntime.so.1`,
      ],
      usearch: ["usearch/prebuilds/linux-x64/usearch.node"],
    },
    "bun-linux-arm64": {
      onnxruntime: [
        `${ORT}/linux/arm64/onnxruntime_binding.node`,
        `${ORT}/linux/arm64/libonnxruntime.so.1`,
      ],
      usearch: ["usearch/prebuilds/linux-arm64/usearch.node"],
    },
    "bun-darwin-arm64": {
      onnxruntime: [
        `${ORT}/darwin/arm64/onnxruntime_binding.node`,
        `${ORT}/darwin/arm64/libonnxruntime.1.dylib`,
      ],
      usearch: ["usearch/prebuilds/darwin-arm64+x64/usearch.node"],
    },
  }),
);

/** What a build is for. */
export interface BuildTarget {
  /** As Bun names it, for example `bun-linux-x64`. */
  compileTarget: Bun.Build.CompileTarget;
  /** Absolute paths, the addon first. */
  native: Readonly<Record<NativeName, readonly string[]>>;
}

/** The target of the machine that builds. */
export function hostTarget(): string {
  return `bun-${process.platform}-${process.arch}`;
}

/**
 * Finds the native files for a target such as `bun-linux-x64` or `bun-linux-x64-baseline`.
 * @throws Error with a sentence for the user when the target is not offered or its files are not installed
 */
export function resolveTarget(name: string, modulesFolder: string): BuildTarget {
  const files = TARGETS.get(systemOf(name));
  if (files === undefined || !isCompileTarget(name)) {
    const offered = [...TARGETS.keys()].join(", ");
    throw new Error(
      `There is no build for ${name}, only for those that both native libraries ship files for: ${offered}.`,
    );
  }
  const native = {
    onnxruntime: files.onnxruntime.map((file) => join(modulesFolder, file)),
    usearch: files.usearch.map((file) => join(modulesFolder, file)),
  };
  const missing = [...native.onnxruntime, ...native.usearch].filter((file) => !existsSync(file));
  if (missing.length > 0) {
    throw new Error(
      `Native files for ${name} are not installed: ${missing.join(", ")}. Run bun install --frozen-lockfile.`,
    );
  }
  return { compileTarget: name, native };
}

/** Bun has x64 builds for older and for newer processors; the native libraries choose at run time. */
function systemOf(name: string): string {
  return name.replace(/-x64-(baseline|modern)$/, "-x64");
}

function isCompileTarget(name: string): name is Bun.Build.CompileTarget {
  return TARGETS.has(systemOf(name));
}
