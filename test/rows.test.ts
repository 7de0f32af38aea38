/**
 * Typed arrays are walked by their index, or by `forEach`. `for (const row of rows)` makes an object for each element until the
 * last compiler sees through it, which waits here (decision 0469): where an array has an element a row, that is ten times the
 * time, and 5 to 25 MB for each half million rows. Only types say what a line walks, so the compiler is asked for them.
 */
import { afterAll, expect, test } from "bun:test";
import type { Node } from "typescript/unstable/ast";
import {
  isCallExpression,
  isForOfStatement,
  isPropertyAccessExpression,
} from "typescript/unstable/ast/is";
import { API } from "typescript/unstable/async";

const TYPED = /^(?:(?:Big)?(?:Ui|I)nt(?:8|16|32|64)(?:Clamped)?|Float(?:32|64))Array<\w+>$/;

/** Not an element a row: bytes of one value, words of a program. */
const FEW = new Set([
  "src/iceberg/singleValue.ts",
  "src/decode/json/kernelProgram.ts",
  "src/decode/avro/encode.ts",
]);

const api = new API({ cwd: process.cwd() });
afterAll(() => api.close());

/** What the loops of a file walk; of `words.entries()` the words. */
function walked(node: Node, found: Node[] = []): Node[] {
  if (isForOfStatement(node)) found.push(receiver(node.expression));
  node.forEachChild((child) => {
    walked(child, found);
  });
  return found;
}

function receiver(node: Node): Node {
  if (!isCallExpression(node) || !isPropertyAccessExpression(node.expression)) return node;
  const { expression, name } = node.expression;
  return ["entries", "keys", "values"].includes(name.text) ? expression : node;
}

test("no loop makes an object for each element of a typed array", async () => {
  const snapshot = await api.updateSnapshot({ openProjects: ["tsconfig.json"] });
  const [project] = snapshot.getProjects();
  if (project === undefined) throw new Error("tsconfig.json is no project");
  const { program, checker } = project;
  const wrong: string[] = [];
  let loops = 0;
  for (const path of new Bun.Glob("src/**/*.ts").scanSync(".")) {
    const source = FEW.has(path) ? undefined : await program.getSourceFile(path);
    const nodes = source === undefined ? [] : walked(source);
    loops += nodes.length;
    for (const [at, type] of (await checker.getTypeAtLocation(nodes)).entries()) {
      const text = type === undefined ? "" : await checker.typeToString(type);
      const isTyped = !text.endsWith("[]") && text.split(" | ").some((each) => TYPED.test(each));
      if (isTyped) wrong.push(`${path}: ${nodes[at]?.getText()} is ${text}`);
    }
  }
  expect(loops).toBeGreaterThan(500);
  expect(wrong).toEqual([]);
}, 120_000);
