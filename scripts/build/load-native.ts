import { existsSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { unpack, type PackedFile } from "../../src/lib/unpack.ts";

/** A native package inside the binary: its addon and the libraries that the addon expects beside it. */
export interface NativePackage {
  name: string;
  /** Hash over all files: two versions of the binary never share a folder. */
  contentHash: string;
  /** Name of the file to load; it is one of `files`. */
  addon: string;
  files: readonly PackedFile[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Unpacks a native package and loads its addon. This file is part of the compiled binary only: the build puts a call of
 * it where the package looks its addon up, so from source the ordinary package is used and nothing is unpacked.
 * Blocks for the first load (about 5 ms when already unpacked).
 * @throws Error that says for every folder tried why it did not serve
 */
export function loadNative(native: NativePackage): unknown {
  const refusals: string[] = [];
  for (const folder of cacheFolders(process.env, native)) {
    try {
      unpack(folder, native.files);
      const module = { exports: {} };
      process.dlopen(module, join(folder, native.addon));
      return module.exports;
    } catch (error) {
      // The next folder may serve: a home can be read-only and a folder can be mounted noexec.
      refusals.push(`${folder}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(
    `The native library ${native.name} cannot be loaded. ${refusals.join(". ")}. ` +
      "Set SLIPSTREAM_CACHE_DIR to a folder that this user can write to and run code from.",
  );
}

/** Where a native package may be unpacked to, best first. A folder that was asked for is the only one. */
function cacheFolders(env: Environment, native: NativePackage): string[] {
  const name = `${native.name}-${native.contentHash}`;
  const asked = env["SLIPSTREAM_CACHE_DIR"];
  if (asked) return [join(resolve(asked), name)];
  // Anyone can write to the temporary folder, so the name there is one of this user's own; `unpack` refuses a planted one.
  const temporary = join(tmpdir(), `slipstream-${process.getuid?.() ?? "user"}-${name}`);
  const base = userCacheFolder(env);
  return base === undefined ? [temporary] : [join(base, "slipstream", name), temporary];
}

/** XDG base directory specification: a relative XDG_CACHE_HOME is ignored. A home that is missing is not made. */
function userCacheFolder(env: Environment): string | undefined {
  const xdg = env["XDG_CACHE_HOME"];
  if (xdg && isAbsolute(xdg)) return xdg;
  const home = env["HOME"] || homedir();
  return existsSync(home) ? join(home, ".cache") : undefined;
}
