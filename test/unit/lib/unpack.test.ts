import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unpack, type PackedFile } from "../../../src/lib/unpack.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "unpack-"));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const content = Buffer.from("the content of a library");

function packed(read: () => Uint8Array = () => content): PackedFile {
  return {
    name: "library.so",
    size: content.byteLength,
    sha256: new Bun.CryptoHasher("sha256").update(content).digest("hex"),
    xxHash3: Bun.hash.xxHash3(content).toString(16),
    read,
  };
}

describe("unpack", () => {
  test("writes a file and leaves no temporary", async () => {
    const folder = join(root, "a", "b");
    unpack(folder, [packed()]);
    expect(await readdir(folder)).toEqual(["library.so"]);
    expect(await Bun.file(join(folder, "library.so")).text()).toBe(content.toString());
  });

  test("leaves a whole file alone", async () => {
    unpack(root, [packed()]);
    const before = await stat(join(root, "library.so"));
    unpack(root, [packed()]);
    const after = await stat(join(root, "library.so"));
    expect(after.ino).toBe(before.ino);
  });

  test.each([
    ["shorter", "the"],
    ["of the same size but other bytes", content.toString().replace("library", "lXbrary")],
  ])("rewrites a file that is %s", async (_, damaged) => {
    unpack(root, [packed()]);
    await writeFile(join(root, "library.so"), damaged);
    unpack(root, [packed()]);
    expect(await Bun.file(join(root, "library.so")).text()).toBe(content.toString());
  });

  test("refuses content that is not what its hash says, and writes nothing", async () => {
    const wrong = packed(() => Buffer.from("the content of a lXbrary"));
    expect(() => unpack(root, [wrong])).toThrow("library.so in this program is damaged");
    expect(await readdir(root)).toEqual([]);
  });

  test("refuses a folder that others can write to, even if the files in it are whole", async () => {
    unpack(root, [packed()]);
    await chmod(root, 0o777);
    expect(() => unpack(root, [packed()])).toThrow("can be written by other users");
  });

  test("refuses a link in place of the folder", async () => {
    await symlink(root, `${root}-link`);
    expect(() => unpack(`${root}-link`, [packed()])).toThrow("is not a folder");
    await rm(`${root}-link`);
  });

  test("does not write through a link that somebody put in the file's place", async () => {
    const victim = join(root, "victim");
    const folder = join(root, "native");
    await mkdir(folder);
    await writeFile(victim, "kept");
    await symlink(victim, join(folder, "library.so"));
    unpack(folder, [packed()]);
    expect(await Bun.file(victim).text()).toBe("kept");
    expect(await Bun.file(join(folder, "library.so")).text()).toBe(content.toString());
  });

  test("removes temporaries of killed processes once they are old", async () => {
    for (const name of ["old.tmp", "new.tmp"]) await writeFile(join(root, name), "half");
    const twoHoursAgo = Date.now() / 1000 - 7200;
    await utimes(join(root, "old.tmp"), twoHoursAgo, twoHoursAgo);
    unpack(root, [packed()]);
    expect((await readdir(root)).toSorted()).toEqual(["library.so", "new.tmp"]);
  });
});
