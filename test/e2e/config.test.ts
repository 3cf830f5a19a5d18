import { expect, test } from "bun:test";
import { runProgram } from "../support/process.ts";
import { tempDir } from "../support/temp-dir.ts";

test("config check names what looks like a setting and is none, and is content all the same", async () => {
  using dir = tempDir();
  const env = { APP_WS__RATE: "60", APP_WS__RAET: "60", APP_NAME: "another program's" };
  const checked = await runProgram(["config", "check"], { cwd: dir.path, env });
  expect(checked).toEqual({
    exitCode: 0,
    stdout: "The configuration is valid.\n",
    stderr: "APP_WS__RAET is no setting and does nothing.\n",
  });
});

test("config print shows the settings in force by their plain names, and no password", async () => {
  using dir = tempDir();
  const endpoint = "https://me:s3cret@otel.example:4318";
  const env = { APP_WS__RATE: "60", OTEL_EXPORTER_OTLP_ENDPOINT: endpoint };
  const lines = await runProgram(["config", "print"], { cwd: dir.path, env });
  expect(lines).toMatchObject({ exitCode: 0, stderr: "" });
  expect(lines.stdout.split("\n")).toEqual(
    expect.arrayContaining([
      "WS_RATE=60",
      "OTEL_EXPORTER_OTLP_ENDPOINT=https://***@otel.example:4318",
    ]),
  );
  const json = await runProgram(["config", "print", "--json"], { cwd: dir.path, env });
  expect(JSON.parse(json.stdout)).toMatchObject({ WS_RATE: "60", PORT: "8000" });
  const docs = await runProgram(["config", "docs"], { cwd: dir.path, env });
  expect(docs.stdout).toBe(await Bun.file("docs/configuration.md").text());
});
