import { join } from "node:path";
import { tempDir } from "../support/temp-dir.ts";

/** The package as it would be published. */
export interface BuiltClient extends Disposable {
  /** Its folder: `index.js`, `index.d.ts` and so on. */
  dir: string;
  /** The one module, minified. */
  module: string;
  /** What the build printed. */
  output: string;
}

/** Builds the client package into a folder of its own. */
export async function builtClient(): Promise<BuiltClient> {
  const dir = tempDir();
  const script = join(import.meta.dir, "../../client/build.ts");
  const output = await Bun.$`${process.execPath} ${script} ${dir.path}`.text();
  const module = await Bun.file(join(dir.path, "index.js")).text();
  return { dir: dir.path, module, output, [Symbol.dispose]: () => dir[Symbol.dispose]() };
}
