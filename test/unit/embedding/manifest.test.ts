import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import manifest from "../../../models/manifest.json" with { type: "json" };

const FOLDER = join(import.meta.dir, "../../../models");

describe("models/manifest.json", () => {
  for (const model of manifest.models) {
    test(`${model.name}: the size and hash of every file are those on disk`, async () => {
      for (const file of [model.files.weights, model.files.tokenizer]) {
        const bytes = await Bun.file(join(FOLDER, file.path)).bytes();
        expect(bytes.length).toBe(file.bytes);
        expect(new Bun.CryptoHasher("sha256").update(bytes).digest("hex")).toBe(file.sha256);
      }
    });

    test(`${model.name}: has its card and its licence`, async () => {
      expect(await Bun.file(join(FOLDER, model.name, "README.md")).text()).toContain(model.name);
      const licence = await Bun.file(join(FOLDER, model.name, "LICENSE")).text();
      expect(licence).toContain("Apache License");
      expect(licence).toContain("NOTICE");
    });
  }
});
