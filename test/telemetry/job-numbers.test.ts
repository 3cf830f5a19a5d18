import { describe, expect, test } from "bun:test";
import { jobEnded, jobOf, uploadFiles } from "../support/jobs.ts";
import { parseScrape } from "../support/prometheus.ts";
import { eventually } from "../support/process.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { createRules } from "../http/answers.ts";

/** Sums of every series of a metric that has these labels, by name. */
async function scrape(server: TestServer) {
  const families = parseScrape((await server.call("GET /metrics")).text);
  return (name: string, labels: Record<string, string> = {}): number =>
    [...families.values()]
      .flatMap(({ samples }) => samples)
      .filter((sample) => sample.name === name && Bun.deepMatch(labels, { ...sample.labels }))
      .reduce((sum, { value }) => sum + value, 0);
}

const upload = async (server: TestServer) =>
  jobOf(
    await uploadFiles(server.url, "/api/v1/collections/rules/files", {
      "flags.md": "# Flags\n\nA red flag stops the race.",
    }),
  );

describe("the numbers of jobs", () => {
  test("tell what was created, how it moved and how it ended", async () => {
    await using server = await startServer();
    await createRules(server);
    const before = await scrape(server);
    expect(await jobEnded(server.url, (await upload(server)).id)).toMatchObject({
      state: "succeeded",
    });
    // A job is counted a moment after its end is written down.
    const after = await eventually("the end is counted", async () => {
      const numbers = await scrape(server);
      return numbers("jobs_completed_total") > before("jobs_completed_total") ? numbers : undefined;
    });
    const grown = (name: string, labels: Record<string, string> = {}) =>
      after(name, labels) - before(name, labels);
    expect(grown("jobs_created_total", { collection: "rules" })).toBe(1);
    expect(grown("job_status_transitions_total", { from: "queued", to: "running" })).toBe(1);
    expect(grown("job_status_transitions_total", { from: "running", to: "succeeded" })).toBe(1);
    expect(grown("jobs_completed_total", { collection: "rules", outcome: "succeeded" })).toBe(1);
    expect(grown("job_duration_seconds_count", { outcome: "succeeded" })).toBe(1);
    expect(grown("ingest_run_velocity_sum", { collection: "rules" })).toBe(1);
    expect(grown("active_jobs")).toBe(0);
  });

  test("count what waits and runs anew at each start, from the database", async () => {
    using dir = tempDir();
    const env = { DATA_DIR: dir.path, JOB_WORKERS: "0" };
    // Instruments are the process's: servers of other tests have counted too.
    let none = 0;
    {
      await using server = await startServer({ env });
      none = (await scrape(server))("active_jobs");
      await createRules(server);
      await upload(server);
      await upload(server);
      expect((await scrape(server))("active_jobs") - none).toBe(2);
    }
    await using server = await startServer({ env });
    expect((await scrape(server))("active_jobs") - none).toBe(2);
  });
});
