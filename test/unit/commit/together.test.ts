/** Commits of several tables in one request: who waits for whom, and what each is told. */
import { expect, test } from "bun:test";
import type { Catalog, CommitOutcome, TableChange, TableName } from "#catalog/catalog.ts";
import { hasTogether, Together } from "#commit/together.ts";

const nameOf = (table: string): TableName => ({ namespace: ["db"], table });
const TURNS = { rest: () => undefined, goOn: () => Promise.resolve() };
const conflict = (cause: string): CommitOutcome => ({ kind: "conflict", cause });

/** A group over a catalog that writes down what it is asked, and answers with a conflict that tells. */
function make(size: number, offered = true) {
  const said: string[] = [];
  const told: string[] = [];
  const group = new Together(
    {
      commit: async (name) => {
        said.push(name.table);
        return conflict(`${name.table} alone`);
      },
      commitTogether: async (changes: readonly TableChange[]) => {
        said.push(changes.map(({ name }) => name.table).join("+"));
        return offered ? changes.map(({ name }) => conflict(name.table)) : null;
      },
    },
    size,
    () => said.push("not offered"),
  );
  const add = (table: string) => {
    const member = group.member({
      rest: () => said.push(`${table} waits`),
      goOn: async () => void said.push(`${table} goes on`),
    });
    const commit = async (): Promise<void> => {
      const outcome = await member.commit(nameOf(table), [], []);
      told.push(outcome.kind === "conflict" ? String(outcome.cause) : outcome.kind);
    };
    return { commit, left: member.left };
  };
  return { said, told, add };
}

test("one request goes when all have come, and each is told of its own table when it may work again", async () => {
  const { said, told, add } = make(3);
  const [a, b, c] = ["a", "b", "c"].map(add);
  const ends = [a?.commit(), c?.commit()];
  expect(said).toEqual(["a waits", "c waits"]);
  await Promise.all([...ends, b?.commit()]);
  const goOn = ["a goes on", "c goes on", "b goes on"];
  expect(said.slice(2)).toEqual(["b waits", "a+c+b", ...goOn]);
  expect(told).toEqual(["a", "c", "b"]);
});

test("who ends without a request is not waited for; one that is left goes by itself", async () => {
  const { said, told, add } = make(3);
  const [a, b, c] = ["a", "b", "c"].map(add);
  a?.left();
  const end = b?.commit();
  a?.left();
  expect(said).toEqual(["b waits"]);
  c?.left();
  await end;
  expect([said, told]).toEqual([["b waits", "b goes on", "b"], ["b alone"]]);
});

test("a second request of a table goes by itself, at once", async () => {
  const { said, told, add } = make(2);
  const [a, b] = ["a", "b"].map(add);
  await Promise.all([a?.commit(), b?.commit()]);
  await a?.commit();
  a?.left();
  expect(said.slice(2)).toEqual(["a+b", "a goes on", "b goes on", "a"]);
  expect(told).toEqual(["a", "b", "a alone"]);
});

test("where no such request is offered each goes by itself, and it is told", async () => {
  const { said, told, add } = make(2, false);
  const [a, b] = ["a", "b"].map(add);
  await Promise.all([a?.commit(), b?.commit()]);
  const goOn = ["a goes on", "b goes on"];
  expect(said.slice(2)).toEqual(["a+b", "not offered", ...goOn, "a", "b"]);
  expect(told).toEqual(["a alone", "b alone"]);
});

test("what forbids the commit of one table is that table's alone", async () => {
  const gone = new Error("gone");
  const catalog = {
    commit: (name: TableName) =>
      name.table === "a" ? Promise.reject(gone) : Promise.resolve(conflict("b alone")),
    commitTogether: async () => null,
  };
  const group = new Together(catalog, 2, () => undefined);
  const ends = ["a", "b"].map((table) => group.member(TURNS).commit(nameOf(table), [], []));
  const [a, b] = await Promise.allSettled(ends);
  expect(a).toMatchObject({ status: "rejected", reason: gone });
  expect(b).toMatchObject({ status: "fulfilled", value: conflict("b alone") });
});

test("who has committed needs no turn for what is left", async () => {
  const committed = { kind: "committed" } as CommitOutcome;
  const catalog = {
    commit: () => Promise.reject(new Error("not asked")),
    commitTogether: async () => [committed, committed],
  };
  const group = new Together(catalog, 2, () => undefined);
  const goOn = (): Promise<void> => Promise.reject(new Error("not wanted"));
  const ends = ["a", "b"].map((table) =>
    group.member({ ...TURNS, goOn }).commit(nameOf(table), [], []),
  );
  expect(await Promise.all(ends)).toEqual([committed, committed]);
});

test("should the request throw, nobody waits for ever, and what became of it is not known", async () => {
  const group = new Together(
    {
      commit: () => Promise.reject(new Error("not asked")),
      commitTogether: () => Promise.reject(new Error("broken")),
    },
    2,
    () => undefined,
  );
  const ends = ["a", "b"].map((table) => group.member(TURNS).commit(nameOf(table), [], []));
  expect((await Promise.all(ends)).map(({ kind }) => kind)).toEqual(["unknown", "unknown"]);
});

test("a catalog without such a request is told apart", () => {
  expect(hasTogether({} as Catalog)).toBe(false);
  expect(hasTogether(undefined)).toBe(false);
  expect(hasTogether({ commitTogether: async () => null } as unknown as Catalog)).toBe(true);
});
