import { expect, test } from "bun:test";
import { AppError } from "#base/errors.ts";
import { seededRandom } from "#base/random.ts";
import { folderBytes, openStateDir } from "#txlog/stateDir.ts";
import { createLossyDisk } from "../../fakes/lossyDisk.ts";

const PATH = "/var/state";

function machine(fault: (operation: string, path: string) => string | null = () => null) {
  const lossy = createLossyDisk({
    random: seededRandom(1),
    fault: ({ operation, path }) => fault(operation, path),
  });
  const random = seededRandom(2);
  const open = (pid = 1) => openStateDir(PATH, { disk: lossy.mount(), random, pid });
  return { lossy, open };
}

async function errorOf(run: Promise<unknown>): Promise<AppError> {
  const error = await run.catch((thrown: unknown) => thrown);
  if (error instanceof AppError) return error;
  throw new Error(`no AppError but ${String(error)}`);
}

test("the instance id stays the same over restarts", async () => {
  const { open } = machine();
  const first = await open();
  await first.close();
  const second = await open();
  expect(second.instanceId).toBe(first.instanceId);
  expect(first.instanceId).toMatch(/^[0-9a-f-]{36}$/);
});

test("a second process is refused, and told who uses the directory", async () => {
  const { open } = machine();
  const first = await open(4711);
  const error = await errorOf(open(2));
  expect(error.kind).toBe("state");
  expect(error.message).toContain("process 4711");
  expect(error.message).toContain(PATH);
  await first.close();
  await (await open(2)).close();
});

test("after a crash at any step the directory opens again, and an id once given is kept", async () => {
  for (let step = 0; step < 40; step++) {
    for (let seed = 0; seed < 4; seed++) {
      const random = seededRandom(step * 10 + seed);
      const lossy = createLossyDisk({ random });
      lossy.crashAt(step);
      const given = await openStateDir(PATH, { disk: lossy.mount(), random, pid: 1 }).then(
        (state) => state.instanceId,
        () => null,
      );
      if (given !== null) lossy.crash();
      const again = await openStateDir(PATH, { disk: lossy.mount(), random, pid: 2 });
      if (given !== null) expect(again.instanceId).toBe(given);
    }
  }
});

test("a damaged instance id is an error that says what to do", async () => {
  const { lossy, open } = machine();
  await (await open()).close();
  const file = await lossy.mount().open(`${PATH}/instance-id`, "write");
  await file.truncate(0);
  const error = await errorOf(open());
  expect(error.kind).toBe("state");
  expect(error.message).toContain("remove it");
});

test("disk use counts all files below the directory", async () => {
  const { lossy, open } = machine();
  const state = await open();
  const disk = lossy.mount();
  const before = await folderBytes(disk, state.path);
  await disk.mkdir(`${PATH}/log`);
  await (await disk.create(`${PATH}/log/a`)).write(new Uint8Array(1000), 0);
  expect(await folderBytes(disk, state.path)).toBe(before + 1000);
});

test("a directory that cannot be created or written is an error of the disk", async () => {
  const noFolder = machine((operation) => (operation === "mkdir" ? "EACCES" : null));
  expect((await errorOf(noFolder.open())).kind).toBe("storage_refused");
  const full = machine((operation) => (operation === "write" ? "ENOSPC" : null));
  expect((await errorOf(full.open())).kind).toBe("storage_full");
});
