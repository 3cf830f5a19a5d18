import { rm } from "node:fs/promises";
import { join } from "node:path";

const ROOT = import.meta.dir;
const DIST = join(ROOT, "dist");

/** Builds the package into `client/dist`: one minified module with its map, and its declarations. `bun client/build.ts [FOLDER]`. */
async function build(outdir: string): Promise<void> {
  await rm(outdir, { recursive: true, force: true });
  const entry = join(ROOT, "src", "index.ts");
  await Bun.build({
    entrypoints: [entry],
    outdir,
    target: "browser",
    format: "esm",
    minify: true,
    sourcemap: "linked",
  });
  await declarations(outdir);
  const module = Bun.file(join(outdir, "index.js"));
  const zipped = Bun.gzipSync(await module.bytes(), { level: 9 }).length;
  process.stdout.write(`${outdir}/index.js: ${module.size} bytes, ${zipped} by gzip\n`);
}

/** Declarations name each other by their TypeScript source; a reader without it needs the names of what is built. */
async function declarations(outdir: string): Promise<void> {
  const compiler = join(ROOT, "..", "node_modules", "typescript", "bin", "tsc");
  await Bun.$`${process.execPath} ${compiler} -p ${join(ROOT, "tsconfig.json")} --outDir ${outdir}`;
  for await (const name of new Bun.Glob("*.d.ts").scan(outdir)) {
    const file = Bun.file(join(outdir, name));
    const text = await file.text();
    await file.write(text.replaceAll(/(from "\.\/[^"]+)\.ts"/g, '$1.js"'));
  }
}

await build(process.argv[2] ?? DIST);
