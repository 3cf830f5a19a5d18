import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import manifest from "../../../models/manifest.json" with { type: "json" };

const FOLDER = join(import.meta.dir, "../../../models");

/** Models and query encoders alike: each has a folder, and files in it. */
const entries = [
  ...manifest.models.map(({ name, files }) => ({ name, files: [files.weights, files.tokenizer] })),
  ...manifest.query_encoders.map(({ name, file }) => ({ name, files: [file] })),
];

describe("models/manifest.json", () => {
  for (const model of entries) {
    test(`${model.name}: the size and hash of every file are those on disk`, async () => {
      for (const file of model.files) {
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

  test("every query encoder is made for an installed model and has its dimensions", () => {
    for (const encoder of manifest.query_encoders) {
      const model = manifest.models.find(({ name }) => name === encoder.for);
      expect(model?.dimensions).toBe(encoder.dimensions);
    }
  });
});
