import { expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MODULE = join(import.meta.dir, "../../../src/embedding/native/onnxruntime.ts");
// Any session starts the runtime's environment, with a refused model too; the environment is what starts telemetry.
const PROGRAM = `
  const { loadOnnxRuntime } = await import(process.argv[1]);
  const { InferenceSession } = await loadOnnxRuntime();
  await InferenceSession.create(new Uint8Array(8)).catch(() => undefined);
  process.stdout.write("started");
`;

test("ONNX Runtime starts without its telemetry: no device id and no queue of events is written", async () => {
  const home = await mkdtemp(join(tmpdir(), "home-"));
  const env = { HOME: home, TMPDIR: home, BUN_INSTALL_CACHE_DIR: home };
  const child = Bun.spawn([process.execPath, "-e", PROGRAM, MODULE], { env, stderr: "inherit" });
  expect(await child.stdout.text()).toBe("started");
  expect(await child.exited).toBe(0);
  const written = await readdir(home, { recursive: true });
  expect(written.filter((name) => /microsoft|onnx|\.ses|mat-debug/i.test(name))).toEqual([]);
  await rm(home, { recursive: true });
});
