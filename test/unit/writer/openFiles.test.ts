/** How many files of a flush are open at once. */
import { expect, test } from "bun:test";
import { OpenFiles } from "#writer/openFiles.ts";

/** Files that are encoded at once and durable when told. */
class Files {
  readonly open: OpenFiles;
  readonly begun: PromiseWithResolvers<void>[] = [];

  constructor(countMax: number) {
    this.open = new OpenFiles(countMax);
  }

  begin(bytes: number): Promise<void> {
    return this.open.begin((encoded) => {
      const durable = Promise.withResolvers<void>();
      this.begun.push(durable);
      encoded(bytes);
      return durable.promise;
    });
  }
}

/** Lets everything run that can. */
async function settled(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await Promise.resolve();
}

test("as many small files as allowed wait for the store, the next one for one of them", async () => {
  const files = new Files(3);
  for (let n = 0; n < 3; n++) await files.begin(1000);
  const fourth = files.begin(1000);
  await settled();
  expect(files.begun).toHaveLength(3);
  files.begun[1]?.resolve();
  await fourth;
  expect(files.begun).toHaveLength(4);
  for (const { resolve } of files.begun) resolve();
  await files.open.finish();
});

test("large files are closed one at a time", async () => {
  const files = new Files(10);
  await files.begin(40 * 1024 * 1024);
  const second = files.begin(1);
  await settled();
  expect(files.begun).toHaveLength(1);
  files.begun[0]?.resolve();
  await second;
  expect(files.begun).toHaveLength(2);
});

test("a failure reaches who begins the next file and who finishes; settling waits for the others", async () => {
  const files = new Files(3);
  await files.begin(1);
  await files.begin(1);
  files.begun[0]?.reject(new Error("full"));
  await settled();
  expect(await files.begin(1).catch(String)).toContain("full");
  expect(await files.open.finish().catch(String)).toContain("full");
  let isSettled = false;
  const settling = files.open.settle().then(() => {
    isSettled = true;
  });
  await settled();
  expect(isSettled).toBe(false);
  for (const { resolve } of files.begun) resolve();
  await settling;
});
