/**
 * Gives the mapping of a file from `Bun.mmap` back at once, where the garbage collector would do it at some later time;
 * nothing of the file may be read any more. Does nothing the second time.
 */
export function unmap({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}
