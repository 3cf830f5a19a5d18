const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist",
  EACCES: "may not be read",
  EPERM: "may not be read",
  ELOOP: "is a link to itself",
  EISDIR: "is a folder",
};

/**
 * Why the file system refused, as the end of a sentence that begins with the path.
 * @throws the cause itself where it is no error of the file system
 */
export function fileErrorReason(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  // Codes of the file system are E and capitals; those of the runtime (ERR_…) and of packages have an underscore.
  if (typeof code !== "string" || !/^E[A-Z0-9]+$/.test(code)) throw cause;
  return REASONS[code] ?? `cannot be read (${code})`;
}
