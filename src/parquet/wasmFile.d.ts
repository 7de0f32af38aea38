/**
 * The type of `import path from "*.wasm" with { type: "file" }`: the path of the embedded file.
 */
declare module "*.wasm" {
  const path: string;
  export = path;
}
