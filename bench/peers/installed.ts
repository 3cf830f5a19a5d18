import { join } from "node:path";

/** Version of an npm package that install.sh brought. */
export async function npmVersion(install: string, name: string): Promise<string> {
  const manifest: { version: string } = await Bun.file(
    join(install, "npm/node_modules", name, "package.json"),
  ).json();
  return manifest.version;
}

/** Version of a Python package that install.sh brought. */
export async function pythonVersion(install: string, name: string): Promise<string> {
  const script = `from importlib.metadata import version; print(version("${name}"))`;
  return (await Bun.$`${join(install, "python/bin/python")} -c ${script}`.text()).trim();
}
