/** Weights imported with `{ type: "file" }`: the import is the file's path, on disk from source and inside the compiled binary. */
declare module "*.onnx" {
  const path: string;
  export = path;
}

declare module "*.slq" {
  const path: string;
  export = path;
}
