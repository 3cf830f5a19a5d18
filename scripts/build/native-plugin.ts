import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import type { BunPlugin } from "bun";
import type { NativeName } from "./targets.ts";

const NAMESPACE = "slipstream-native";
const LOADER = fileURLToPath(import.meta.resolve("./load-native.ts"));

/** A change of one package's source. Each `find` must match exactly once, so that a new version of the package is noticed. */
interface Edit {
  file: RegExp;
  changes: readonly { find: RegExp; replace: string }[];
}

const EDITS: readonly Edit[] = [
  {
    file: /onnxruntime-node[\\/]dist[\\/]binding\.js$/,
    changes: [
      {
        find: /require\(`[^`]*\/onnxruntime_binding\.node`\)/g,
        replace: `require("${NAMESPACE}:onnxruntime").addon`,
      },
    ],
  },
  {
    file: /usearch[\\/]javascript[\\/]dist[\\/]esm[\\/]usearch\.js$/,
    changes: [
      {
        find: /^import build from "node-gyp-build";$/gm,
        replace: `import { addon } from "${NAMESPACE}:usearch";`,
      },
      { find: /^import \{ getFileName, getRoot \} from "bindings";$/gm, replace: "" },
      { find: /build\(getBuildDir\(getDirName\(\)\)\)/g, replace: "addon" },
      // The rest of the file is the search for the addon; its `__dirname` would put the building machine's path into the binary.
      { find: /^function getBuildDir\(dir\) \{[^]*$/gm, replace: "" },
    ],
  },
];

/**
 * Puts native packages into the binary: their files are embedded, and where the package would look for its addon on disk
 * it gets the one that `load-native.ts` unpacks. Any way to onnxruntime-web is an error.
 */
export function nativePlugin(native: Readonly<Record<NativeName, readonly string[]>>): BunPlugin {
  return {
    name: "native",
    setup(build) {
      build.onResolve({ filter: /^onnxruntime-web/ }, ({ importer }) => {
        throw new Error(`${importer} imports onnxruntime-web: the binary runs onnxruntime-node`);
      });
      build.onResolve({ filter: new RegExp(`^${NAMESPACE}:`) }, ({ path }) => ({
        path: path.slice(NAMESPACE.length + 1),
        namespace: NAMESPACE,
      }));
      build.onLoad({ filter: /.*/, namespace: NAMESPACE }, async ({ path }) => {
        const name: NativeName = path === "usearch" ? "usearch" : "onnxruntime";
        return { contents: await nativeModule(name, native[name]), loader: "ts" };
      });
      for (const edit of EDITS) {
        build.onLoad({ filter: edit.file }, async ({ path }) => ({
          contents: applyEdit(await Bun.file(path).text(), edit, path),
          loader: "js",
        }));
      }
    },
  };
}

function applyEdit(source: string, edit: Edit, path: string): string {
  return edit.changes.reduce((text, { find, replace }) => {
    const count = text.match(find)?.length ?? 0;
    if (count !== 1) {
      throw new Error(
        `${path} is not as this build expects: ${find} matches ${count} times, not once`,
      );
    }
    return text.replace(find, () => replace);
  }, source);
}

/** The source of a module that embeds the files of a native package and exports its loaded addon. */
async function nativeModule(name: NativeName, paths: readonly string[]): Promise<string> {
  const imports: string[] = [];
  const files: string[] = [];
  const contentHasher = new Bun.CryptoHasher("sha256");
  for (const [index, path] of paths.entries()) {
    const content = await Bun.file(path).bytes();
    const sha256 = new Bun.CryptoHasher("sha256").update(content).digest("hex");
    contentHasher.update(`${basename(path)} ${sha256}\n`);
    const xxHash3 = Bun.hash.xxHash3(content).toString(16);
    imports.push(`import file${index} from ${JSON.stringify(path)} with { type: "file" };`);
    files.push(
      `{ name: ${JSON.stringify(basename(path))}, size: ${content.byteLength}, sha256: "${sha256}", ` +
        `xxHash3: "${xxHash3}", read: () => readFileSync(file${index}) }`,
    );
  }
  const contentHash = contentHasher.digest("hex").slice(0, 16);
  const addon = JSON.stringify(basename(paths[0] ?? ""));
  return [
    'import { readFileSync } from "node:fs";',
    `import { loadNative } from ${JSON.stringify(LOADER)};`,
    ...imports,
    `export const addon = loadNative({ name: "${name}", contentHash: "${contentHash}", addon: ${addon}, files: [${files.join(", ")}] });`,
    "",
  ].join("\n");
}
