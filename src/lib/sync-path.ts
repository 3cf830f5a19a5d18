import { closeSync, fsyncSync, openSync } from "node:fs";

/** Puts a file's content on the disk, or the names in a folder: what was renamed lasts through a power cut. Waits for it. */
export function syncPath(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
