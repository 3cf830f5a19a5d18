import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { namesOf, parseConfig, SETTINGS } from "../../../src/config.ts";
import { LiveSchema } from "../../../src/contract/health.ts";
import { limits } from "../../../src/limits.ts";
import { PROBLEMS } from "../../../src/problems.ts";
import { notUnderstood } from "../../support/command-line.ts";
import { runProgram } from "../../support/process.ts";
import { shaped, startServer } from "../../support/server.ts";
import { tempDir } from "../../support/temp-dir.ts";

const read = (name: string): Promise<string> => Bun.file(join("deploy", name)).text();

/** What must be over before whoever stops the server loses patience: the drain, then what engines write down. */
const STOP_SECONDS_MAX = parseConfig({}).drainTimeoutSeconds + limits.engineStopMsMax / 1000;

/** What is set beside settings: the build's own native libraries are unpacked there. */
const KNOWN_NAMES = new Set([...Object.values(SETTINGS).flatMap(namesOf), "SLIPSTREAM_CACHE_DIR"]);

/** An environment that a file of deploy/ gives the server: of names that exist, and valid as a whole. */
function expectSettings(env: Readonly<Record<string, string>>): void {
  expect(Object.keys(env).filter((name) => !KNOWN_NAMES.has(name))).toEqual([]);
  const config = parseConfig(env);
  expect(config.environment).toBe("production");
  expect(config.drainTimeoutSeconds + limits.engineStopMsMax / 1000).toBeLessThan(45);
}

describe("the systemd unit", async () => {
  const text = await read("slipstream.service");
  const values = (key: string): string[] =>
    [...text.matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, value = ""]) => value);
  const value = (key: string): string => {
    const [only, ...others] = values(key);
    if (only === undefined || others.length > 0) throw new Error(`${key} is not there once`);
    return only;
  };

  test("runs commands that the program has, with settings that it has", async () => {
    const lines = [value("ExecStart"), value("ExecStartPre")].map((line) => line.split(" "));
    expect(lines.map(([program]) => program)).toEqual(Array(2).fill("/usr/local/bin/slipstream"));
    expect(await notUnderstood(lines.map(([, ...args]) => args))).toEqual([]);
    expectSettings(Object.fromEntries(values("Environment").map((one) => one.split("="))));
  });

  test("restarts after a crash, a few times, and never where a restart mends nothing", () => {
    expect(value("Restart")).toBe("on-failure");
    const prevented = value("RestartPreventExitStatus").split(" ").map(Number);
    expect(prevented).toEqual([PROBLEMS.usage.exit, PROBLEMS.config_invalid.exit]);
    // So many starts at the shortest pause have to fit into the interval, or the limit would never be reached.
    expect(Number(value("StartLimitBurst")) * Number(value("RestartSec"))).toBeLessThan(
      Number(value("StartLimitIntervalSec")),
    );
  });

  test("waits longer than the drain takes before it kills", () => {
    expect(Number(value("TimeoutStopSec"))).toBeGreaterThan(STOP_SECONDS_MAX);
    expect(value("KillMode")).toBe("mixed");
  });

  test("allows as many descriptors as live connections by default", () => {
    expect(Number(value("LimitNOFILE"))).toBeGreaterThan(parseConfig({}).wsConnections);
  });

  test.skipIf(Bun.which("systemd-analyze") === null)(
    "is right in systemd's own eyes, where that is installed, and well shut in",
    async () => {
      using dir = tempDir();
      const unit = join(dir.path, "slipstream.service");
      // The program is not installed on the machine of the tests.
      await Bun.write(unit, text.replaceAll("/usr/local/bin/slipstream", "/bin/true"));
      const analyze = (...args: string[]) =>
        runProgram([...args, unit], { cwd: dir.path, command: ["systemd-analyze"] });
      expect(await analyze("verify")).toEqual({ exitCode: 0, stdout: "", stderr: "" });
      const { stdout } = await analyze("security", "--offline=yes");
      expect(Number(/Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1])).toBeLessThan(2);
    },
  );
});

/** The keys and values of the outermost dictionary of a property list; lists and dictionaries as they are written. */
function plistEntries(text: string): Map<string, string> {
  const body = /<dict>([\s\S]*)<\/dict>/.exec(text)?.[1] ?? "";
  const entries = body.matchAll(
    /^ {2}<key>(.*?)<\/key>\n {2}(<(\w+)\/>|<(\w+)>([\s\S]*?)<\/\4>)$/gm,
  );
  return new Map(
    [...entries].map(([, key = "", , empty, , content]) => [key, empty ?? content ?? ""]),
  );
}

describe("the launchd job", async () => {
  const text = await read("com.slipstream.plist");
  const entries = plistEntries(text);
  const strings = (key: string): string[] =>
    [...(entries.get(key) ?? "").matchAll(/<(?:string|key)>(.*?)<\//g)].map(([, one = ""]) => one);

  test("is well-formed XML", () => {
    const open: string[] = [];
    const tags = text.replaceAll(/<!--[\s\S]*?-->|<[?!][^>]*>/g, "");
    for (const [, end, name = "", empty] of tags.matchAll(/<(\/?)(\w+)[^>]*?(\/?)>/g)) {
      if (end) expect(open.pop()).toBe(name);
      else if (!empty) open.push(name);
    }
    expect(open).toEqual([]);
  });

  test("runs a command that the program has, with settings that it has", async () => {
    const [program, ...args] = strings("ProgramArguments");
    expect(program).toBe("/usr/local/bin/slipstream");
    expect(await notUnderstood([args])).toEqual([]);
    const given = strings("EnvironmentVariables");
    expectSettings(
      Object.fromEntries(
        given.flatMap((name, index) => (index % 2 === 0 ? [[name, given[index + 1] ?? ""]] : [])),
      ),
    );
  });

  test("restarts after a crash only, and waits longer than the drain takes", () => {
    expect(entries.get("KeepAlive")).toMatch(/<key>SuccessfulExit<\/key>\s*<false\/>/);
    expect(entries.get("RunAtLoad")).toBe("true");
    expect(Number(entries.get("ExitTimeOut"))).toBeGreaterThan(STOP_SECONDS_MAX);
  });

  test.skipIf(Bun.which("plutil") === null)(
    "is right in plutil's eyes, where that is",
    async () => {
      const checked = await runProgram(["-lint", "deploy/com.slipstream.plist"], {
        cwd: process.cwd(),
        command: ["plutil"],
      });
      expect(checked.exitCode).toBe(0);
    },
  );
});

interface Probe {
  exec?: { command: string[] };
  httpGet?: { path: string; port: number };
  initialDelaySeconds: number;
  periodSeconds: number;
  timeoutSeconds: number;
  failureThreshold: number;
}

interface Container {
  name: string;
  image: string;
  restartPolicy?: string;
  ports?: { containerPort: number }[];
  volumeMounts: { name: string; mountPath: string }[];
  startupProbe: Probe;
  livenessProbe: Probe;
  readinessProbe: Probe;
}

interface Manifest {
  kind: string;
  metadata: { name: string };
  data: Record<string, string>;
  spec: {
    replicas: number;
    volumeClaimTemplates: { metadata: { name: string } }[];
    template: {
      spec: {
        terminationGracePeriodSeconds: number;
        initContainers: [Container];
        containers: [Container];
        volumes: { name: string }[];
      };
    };
  };
}

describe("the Kubernetes manifests", async () => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every field that is used below fails its test where it is missing
  const manifests = Bun.YAML.parse(await read("kubernetes.yaml")) as Manifest[];
  const find = (kind: string, name = "slipstream"): Manifest => {
    const found = manifests.find((one) => one.kind === kind && one.metadata.name === name);
    if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
    return found;
  };
  const set = find("StatefulSet").spec;
  const pod = set.template.spec;
  const [server] = pod.containers;
  const [proxy] = pod.initContainers;

  test("have one process, since one process owns a data directory, on a volume of its own", () => {
    expect(set.replicas).toBe(1);
    const { data } = find("ConfigMap");
    expectSettings(data);
    const claimed = set.volumeClaimTemplates.map(({ metadata }) => metadata.name);
    const [volume] = server.volumeMounts.filter(({ mountPath }) => mountPath === data["DATA_DIR"]);
    expect(claimed).toContain(volume?.name ?? "");
    for (const { name } of [...server.volumeMounts, ...proxy.volumeMounts])
      expect([...claimed, ...pod.volumes.map((one) => one.name)]).toContain(name);
  });

  test("wait longer than the drain takes before they kill", () => {
    expect(pod.terminationGracePeriodSeconds).toBe(45);
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(STOP_SECONDS_MAX);
    expect(proxy.restartPolicy).toBe("Always");
  });

  test("probe paths that the server answers, through commands that the program has", async () => {
    await using running = await startServer();
    const { startupProbe, livenessProbe, readinessProbe } = server;
    for (const probe of [startupProbe, livenessProbe, readinessProbe]) {
      expect([probe.initialDelaySeconds, probe.periodSeconds]).toEqual([5, 10]);
      const [program, ...args] = probe.exec?.command ?? [];
      if (program !== undefined) {
        expect(program).toBe("slipstream");
        expect(await notUnderstood([args])).toEqual([]);
      }
      const path = probe.httpGet?.path ?? `/health/${args[1]}`;
      expect((await running.call(`GET ${path}`)).status).toBe(200);
    }
    expect([livenessProbe.failureThreshold, readinessProbe.failureThreshold]).toEqual([3, 3]);
    expect(readinessProbe.httpGet?.port).toBe(proxy.ports?.[0]?.containerPort ?? 0);
    expect(shaped(LiveSchema, (await running.call("GET /health/live")).json).status).toBe(
      "healthy",
    );
  });

  test("let nobody past the proxy without a password, but for the probes, and reach the server where it listens", () => {
    const caddyfile = find("ConfigMap", "slipstream-proxy").data["Caddyfile"] ?? "";
    const { host, port } = parseConfig(find("ConfigMap").data);
    const sites = [...caddyfile.matchAll(/handle( \S+)? \{([\s\S]*?)\n {2}\}/g)];
    expect(sites.map(([, path]) => path?.trim())).toEqual(["/health/*", undefined]);
    for (const [, path, rules = ""] of sites) {
      expect(rules).toContain(`reverse_proxy ${host}:${port}`);
      expect(rules.includes("basic_auth")).toBe(path === undefined);
    }
  });
});

describe("the container image", async () => {
  const text = await read("Containerfile");
  const stage = text.slice(text.lastIndexOf("\nFROM "));

  test("is the binary alone, run by a user without rights, with a health check of its own", async () => {
    expect(text.match(/^FROM (\S+)/gm)).toEqual(["FROM node:24-slim", "FROM debian:12-slim"]);
    expect(stage.match(/^COPY .*/gm)).toEqual([
      "COPY --from=build /src/dist/slipstream /usr/local/bin/slipstream",
    ]);
    expect(stage).toMatch(/^USER 10001:10001$/m);
    const lists = [...stage.matchAll(/^(?:HEALTHCHECK .*?CMD|CMD) (\[.*\])$/gm)];
    expect(lists.map(([, list]) => list)).toEqual([
      '["slipstream", "health", "live"]',
      '["serve"]',
    ]);
    expect(await notUnderstood([["health", "live"], ["serve"]])).toEqual([]);
    const [, line = ""] = /^ENV (.*)$/m.exec(stage) ?? [];
    expectSettings(Object.fromEntries(line.split(" ").map((one) => one.split("="))));
  });

  test("is built with the Bun that the project is built with", async () => {
    const { engines } = await Bun.file("package.json").json();
    expect(text).toContain(`bun@${engines.bun.replace(">=", "")}\n`);
  });
});
