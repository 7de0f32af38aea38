/**
 * Rows that are written ahead of their flush: the table has each of them once, whatever becomes of what was
 * begun, and nothing is left of that which was not gone on with.
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { type ErrorKind, fail } from "#base/errors.ts";
import { feedKey } from "#base/offsets.ts";
import type { Field } from "#columns/schema.ts";
import type { Storage } from "#storage/storage.ts";
import type { SealedSegment, WriterOptions, WriterParts } from "#writer/parts.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { onStore } from "../../fakes/onStore.ts";
import { AppRig } from "../../support/appRig.ts";

/** A table, its store's view of data files, and who still holds segments. */
class Ahead {
  readonly rig: AppRig;
  /** Uploads of data files that were begun and are neither closed nor aborted. */
  readonly uploads = new Set<string>();
  /** Bytes that came before the flush. */
  bytes = 0;
  held = 0;
  closeFails: ErrorKind | null = null;
  writeFails: ErrorKind | null = null;
  #writer: TableWriter | null = null;

  constructor(options: Partial<WriterOptions> = {}) {
    this.rig = new AppRig({}, { preserveKafkaPartitions: true, aheadBytes: 1, ...options });
  }

  get writer(): TableWriter {
    if (this.#writer === null) throw new Error("not opened");
    return this.#writer;
  }

  async open(): Promise<this> {
    const { rig } = this;
    const catalog = onStore(rig.parts.catalog, (store) => this.#watched(store));
    const parts: WriterParts = { ...rig.parts, catalog };
    this.#writer = await TableWriter.open(parts, rig.options, []);
    const feeds = rig.world.partitions.map((partition) => rig.world.feed(partition));
    await this.#writer.claim(feeds.map((feed) => ({ feed, offset: 0n })));
    // Columns are learned by the first flush.
    await this.writer.flush(this.writer.newFlush(feeds.map((_, p) => this.segment(p, 0n, 2n))));
    return this;
  }

  #watched(store: Storage): Storage {
    const writer: Storage["writer"] = async (path) => {
      const real = await store.writer(path);
      if (!path.endsWith(".parquet")) return real;
      this.uploads.add(path);
      return {
        ...real,
        write: (chunk) => {
          const kind = this.writeFails;
          this.writeFails = null;
          if (kind !== null) return Promise.reject(fail(kind, "the part is gone"));
          this.bytes += chunk.length;
          return real.write(chunk);
        },
        close: (sha) => {
          const kind = this.closeFails;
          this.closeFails = null;
          if (kind !== null) return Promise.reject(fail(kind, "the upload is gone"));
          this.uploads.delete(path);
          return real.close(sha);
        },
        abort: () => {
          this.uploads.delete(path);
          return real.abort();
        },
      };
    };
    return { ...store, writer };
  }

  segment(partition: number, start: bigint, end: bigint, more: Field[] = []): SealedSegment {
    const feed = this.rig.world.feed(partition);
    const batch = this.rig.world.batch(feed, start, end, more);
    return { range: { feed, start, end }, batch };
  }

  /** Closed segments come, and are written. */
  async comes(...segments: SealedSegment[]): Promise<void> {
    this.held += segments.length;
    await this.writer.ahead.add(
      segments.map((segment) => {
        let isHeld = true;
        const release = (): void => {
          if (isHeld) this.held--;
          isHeld = false;
        };
        return { segment, release };
      }),
    );
  }

  async flush(...segments: SealedSegment[]): Promise<string> {
    return (await this.writer.flush(this.writer.newFlush(segments))).kind;
  }

  async live(): Promise<string[]> {
    const head = this.rig.world.metadata.currentSnapshotId ?? 0n;
    const { files } = await this.rig.world.law.content(head);
    return files.map((path) => path.replace(/[0-9a-f]{8}(-[0-9a-f]+){4}\.parquet$/, "UUID")).sort();
  }

  /** The law holds, nothing is under way, and every file is of the table. */
  async judge(): Promise<void> {
    const { world } = this.rig;
    expect(await world.law.violations()).toEqual([]);
    expect([this.held, [...this.uploads]]).toEqual([0, []]);
    const head = world.metadata.currentSnapshotId ?? 0n;
    const { files } = await world.law.content(head);
    const stored = [...world.storage.objects.keys()].filter((path) => path.endsWith(".parquet"));
    expect(stored.sort()).toEqual([...files].sort());
  }
}

const DATA = "/wh/db/t/data";

test("a flush goes on with the files that were begun: the rest of the rows is behind, and each is there once", async () => {
  const ahead = await new Ahead().open();
  const first = [ahead.segment(0, 2n, 10n), ahead.segment(1, 2n, 5n), ahead.segment(0, 10n, 12n)];
  await ahead.comes(...first);
  expect([ahead.uploads.size, ahead.held]).toEqual([2, 3]);
  const rest = [ahead.segment(0, 12n, 20n), ahead.segment(1, 5n, 20n)];
  expect(await ahead.flush(...first, ...rest)).toBe("committed");
  expect(await ahead.live()).toEqual([
    `${DATA}/kafka_partition=0/00000-0-1-UUID`,
    `${DATA}/kafka_partition=0/00000-2-UUID`,
    `${DATA}/kafka_partition=1/00001-0-1-UUID`,
    `${DATA}/kafka_partition=1/00001-2-UUID`,
  ]);
  await ahead.judge();
});

test("a feed that has no rows left, and one that came after all, are in the same commit", async () => {
  const ahead = await new Ahead().open();
  const first = ahead.segment(0, 2n, 20n);
  await ahead.comes(first);
  expect(await ahead.flush(first, ahead.segment(1, 2n, 20n))).toBe("committed");
  expect(await ahead.live()).toHaveLength(4);
  await ahead.judge();
});

test("what a feed had ahead is given up at once when it is dropped; the other's goes on", async () => {
  const ahead = await new Ahead().open();
  const [lost, kept] = [ahead.segment(0, 2n, 10n), ahead.segment(1, 2n, 10n)];
  await ahead.comes(lost, kept);
  await ahead.writer.ahead.drop(feedKey(lost.range.feed));
  expect([ahead.uploads.size, ahead.held]).toEqual([1, 1]);
  // Read again from the same offset, to another one.
  const again = ahead.segment(0, 2n, 7n);
  await ahead.comes(again);
  expect(await ahead.flush(kept, again)).toBe("committed");
  await ahead.judge();
});

test("a flush does not wait for rows ahead of it that nobody has begun to write", async () => {
  const ahead = await new Ahead().open();
  const [first, second] = [ahead.segment(0, 2n, 10n), ahead.segment(1, 2n, 10n)];
  await ahead.comes(first);
  const later = ahead.comes(second);
  expect(await ahead.flush(first, second)).toBe("committed");
  await later;
  expect(await ahead.live()).toEqual([
    `${DATA}/kafka_partition=0/00000-0-1-UUID`,
    `${DATA}/kafka_partition=0/00000-2-UUID`,
    `${DATA}/kafka_partition=1/00001-0-1-UUID`,
    `${DATA}/kafka_partition=1/00001-2-9-UUID`,
  ]);
  await ahead.judge();
});

test("segments of which a flush has others, or none, are written from its own rows", async () => {
  const ahead = await new Ahead().open();
  await ahead.comes(ahead.segment(0, 2n, 10n), ahead.segment(1, 2n, 10n));
  expect(await ahead.flush(ahead.segment(0, 2n, 9n))).toBe("committed");
  await ahead.judge();
  expect(await ahead.flush(ahead.segment(0, 9n, 20n), ahead.segment(1, 2n, 20n))).toBe("committed");
  await ahead.judge();
});

test("a column that comes with the last rows: nothing that was begun with the columns before is used", async () => {
  const ahead = await new Ahead().open();
  const first = ahead.segment(0, 2n, 10n);
  await ahead.comes(first);
  const more: Field[] = [{ id: 0, name: "x", required: false, type: { kind: "int" } }];
  expect(await ahead.flush(first, ahead.segment(0, 10n, 20n, more))).toBe("committed");
  expect(await ahead.live()).toContain(`${DATA}/kafka_partition=0/00000-2-19-UUID`);
  await ahead.judge();
});

test("rows with a column that the table lacks are written with their commit, which brings it", async () => {
  const ahead = await new Ahead().open();
  const more: Field[] = [{ id: 0, name: "x", required: false, type: { kind: "int" } }];
  const first = ahead.segment(0, 2n, 10n, more);
  await ahead.comes(first);
  await ahead.comes(ahead.segment(0, 10n, 12n, more));
  expect([ahead.bytes > 0, ahead.held, ahead.uploads.size]).toEqual([true, 0, 0]);
  expect(await ahead.flush(first, ahead.segment(0, 10n, 20n, more))).toBe("committed");
  await ahead.judge();
});

test("a store that is away while rows are written ahead costs nothing but that", async () => {
  const ahead = await new Ahead().open();
  ahead.rig.world.fault = { kind: "before", calls: 0 };
  const first = ahead.segment(0, 2n, 10n);
  await ahead.comes(first);
  expect([ahead.held, ahead.uploads.size]).toEqual([0, 0]);
  expect(await ahead.flush(first, ahead.segment(0, 10n, 20n))).toBe("committed");
  await ahead.judge();
});

for (const kind of ["storage_corrupt", "storage_missing", "storage_refused", "encoder"] as const) {
  for (const fault of ["closeFails", "writeFails"] as const) {
    test(`a begun file that cannot be ended (${kind}, ${fault}) is written again from its first row, under another name`, async () => {
      const ahead = await new Ahead().open();
      const first = ahead.segment(0, 2n, 10n);
      await ahead.comes(first);
      ahead[fault] = kind;
      expect(await ahead.flush(first, ahead.segment(0, 10n, 20n))).toBe("committed");
      await ahead.judge();
    });
  }
}

test("a commit is as old as the first of its begun files: one that had to wait since then is dropped", async () => {
  const ahead = await new Ahead({ filesAgeMsMax: 1000 }).open();
  const { world } = ahead.rig;
  const first = ahead.segment(0, 2n, 10n);
  await ahead.comes(first);
  await ahead.rig.pass(400);
  const properties = { "kafka-iceberg.paused": "true" };
  world.foreign([{ action: "set-properties", properties }], "paused");
  const flush = ahead.writer.newFlush([first]);
  expect((await ahead.writer.flush(flush)).kind).toBe("paused");
  world.foreign([{ action: "remove-properties", keys: Object.keys(properties) }], "resumed");
  await ahead.rig.pass(700);
  expect(await ahead.writer.flush(flush)).toMatchObject({ kind: "dropped" });
});

test("begun files older than half of what a commit may be are written again, from memory", async () => {
  const ahead = await new Ahead({ filesAgeMsMax: 1000 }).open();
  const first = ahead.segment(0, 2n, 10n);
  await ahead.comes(first);
  await ahead.rig.pass(600);
  expect(await ahead.flush(first, ahead.segment(0, 10n, 20n))).toBe("committed");
  expect(await ahead.live()).toContain(`${DATA}/kafka_partition=0/00000-2-19-UUID`);
  await ahead.judge();
});

test("a flush that is given up, or forgotten, before it began takes along what was begun for it", async () => {
  for (const end of ["giveUp", "forget"] as const) {
    const ahead = await new Ahead().open();
    const first = ahead.segment(0, 2n, 10n);
    await ahead.comes(first);
    await ahead.writer[end](ahead.writer.newFlush([first]));
    await ahead.judge();
    expect(await ahead.flush(ahead.segment(0, 2n, 20n))).toBe("committed");
    await ahead.judge();
  }
});

test("a sealed flush that loses a feed keeps what was begun for the other", async () => {
  const ahead = await new Ahead().open();
  const [lost, kept] = [ahead.segment(0, 2n, 10n), ahead.segment(1, 2n, 10n)];
  await ahead.comes(lost, kept);
  const { writer } = ahead;
  const sealed = writer.newFlush([lost, kept]);
  expect((await writer.flush(writer.newFlush([kept], new Map(), sealed))).kind).toBe("committed");
  await ahead.judge();
  expect(await ahead.live()).toHaveLength(3);
});

test("tables whose files are sorted, mixed, folded or small write nothing ahead", async () => {
  for (const options of [
    { preserveKafkaPartitions: false },
    { fileBytesTarget: 1000 },
  ] satisfies Partial<WriterOptions>[]) {
    const ahead = await new Ahead(options).open();
    const { bytes } = ahead;
    const first = ahead.segment(0, 2n, 10n);
    await ahead.comes(first);
    expect([ahead.bytes, ahead.held]).toEqual([bytes, 0]);
    expect(await ahead.flush(first)).toBe("committed");
    await ahead.judge();
  }
});
