import { expect, test } from "bun:test";

test("the workflow checks and tests each push to main and each pull request", async () => {
  const workflow = Bun.YAML.parse(await Bun.file(".github/workflows/test.yml").text());
  expect(workflow).toMatchObject({
    on: { push: { branches: ["main"] }, pull_request: null },
    permissions: { contents: "read" },
  });
  const commands = [...JSON.stringify(workflow).matchAll(/bun run (\w+)/g)].map(([, name]) => name);
  expect(commands).toEqual(["check", "test"]);
});

test("check has format, lint, types, dead code, structure and generated files; tests have a floor of coverage", async () => {
  const { scripts } = await Bun.file("package.json").json();
  for (const tool of ["oxfmt --check", "oxlint", "tsc", "knip", "tidy.test.ts", "gen.ts --check"])
    expect(scripts.check).toContain(tool);
  expect(await Bun.file(scripts.test.replace("bun ", "")).text()).toContain("--coverage");
  const settings = Bun.TOML.parse(await Bun.file("bunfig.toml").text());
  expect(settings).toMatchObject({
    test: { coverageThreshold: 0.8, coverageReporter: ["text", "lcov"] },
  });
});

test("bun run dev starts the server again when a file changes", async () => {
  const { scripts } = await Bun.file("package.json").json();
  expect(scripts.dev).toBe("bun --watch src/main.ts serve");
});
