/** Numbers as a caller's vector: base64 of little-endian float32. */
export function base64Of(numbers: readonly number[]): string {
  return Buffer.from(new Float32Array(numbers).buffer).toString("base64");
}
