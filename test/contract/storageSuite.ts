/**
 * The promises of the storage port, run against every implementation: `storage.test.ts` here, real
 * S3 services in `test/conformance/s3.test.ts`.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { kindOf } from "#base/errors.ts";
import type { ObjectInfo, Storage } from "#storage/storage.ts";

/** A storage under test; objects are written below `root`, a location without a slash at its end. */
export interface StorageUnderTest {
  readonly storage: Storage;
  readonly root: string;
  readonly close: () => Promise<void>;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (content: Uint8Array): string => new TextDecoder().decode(content);
const sha256 = (content: Uint8Array): string =>
  new Bun.CryptoHasher("sha256").update(content).digest("hex");

async function kindThrown(run: Promise<unknown>): Promise<string> {
  return run.then(
    () => "nothing thrown",
    (error: unknown) => kindOf(error),
  );
}

/**
 * Declares the suite.
 * @param largeBytes size of the large object: more than one part of a multipart upload
 * @param hidesUploads the store lists an upload only to who names its whole key (MinIO): none is seen below a folder
 */
export function storageContract(
  name: string,
  open: () => Promise<StorageUnderTest>,
  options: { rounds: number; largeBytes: number; hidesUploads?: boolean },
): void {
  describe(`storage contract: ${name}`, () => {
    let storage: Storage;
    let root: string;
    let close: () => Promise<void>;
    beforeAll(async () => {
      ({ storage, root, close } = await open());
    });
    afterAll(async () => {
      await storage.close();
      await close();
    });
    const listed = async (prefix: string): Promise<ObjectInfo[]> =>
      (await Array.fromAsync(storage.list(prefix))).sort((a, b) =>
        a.location < b.location ? -1 : 1,
      );

    test("a write that has not ended is among those left, and is gone once it was aborted", async () => {
      const { leftUploads } = storage;
      if (leftUploads === undefined) return;
      const location = `${root}/left/a.bin`;
      const idsLeft = async (): Promise<string[]> =>
        (await Array.fromAsync(leftUploads(`${root}/left`))).map(({ uploadId }) => uploadId);
      const writer = await storage.writer(location);
      const part = new Uint8Array(options.largeBytes);
      await writer.write(part);
      const id = writer.uploadId ?? "";
      expect(await idsLeft()).toEqual(options.hidesUploads === true ? [] : [id]);
      const [left] = await Array.fromAsync(leftUploads(`${root}/left`));
      expect(await Array.fromAsync(leftUploads(`${root}/other`))).toEqual([]);
      if (left !== undefined) await storage.abortUploads([left]);
      expect(await idsLeft()).toEqual([]);
      await writer.abort().catch(() => undefined);
      expect(await storage.head(location)).toBeNull();
    });

    test("what put wrote is read back, and its size is answered", async () => {
      const content = bytes("hello");
      const location = `${root}/put/a.txt`;
      expect(await storage.put(location, content)).toEqual({
        location,
        bytes: 5,
      });
      expect(text(await storage.get(location))).toBe("hello");
    });

    test("put never overwrites", async () => {
      const location = `${root}/put/once`;
      await storage.put(location, bytes("first"));
      expect(await kindThrown(storage.put(location, bytes("second")))).toBe("storage_refused");
      expect(text(await storage.get(location))).toBe("first");
    });

    test("an empty object is an object", async () => {
      await storage.put(`${root}/empty`, new Uint8Array());
      expect((await storage.get(`${root}/empty`)).length).toBe(0);
      expect((await storage.head(`${root}/empty`))?.bytes).toBe(0);
    });

    test("putIfAbsent says false when the name is taken and leaves the object alone", async () => {
      const location = `${root}/cas/taken`;
      expect(await storage.putIfAbsent(location, bytes("one"))).toBe(true);
      expect(await storage.putIfAbsent(location, bytes("two"))).toBe(false);
      expect(await storage.putIfAbsent(location, bytes("one"))).toBe(false);
      expect(text(await storage.get(location))).toBe("one");
    });

    test("of 16 writers of one name exactly one wins, and the object is the winner's", async () => {
      for (let round = 0; round < options.rounds; round++) {
        const location = `${root}/race/v${round}.metadata.json`;
        const writers = Array.from({ length: 16 }, (_, writer) =>
          storage.putIfAbsent(location, bytes(`writer ${writer}`)),
        );
        const won = await Promise.all(writers);
        expect(won.filter(Boolean).length).toBe(1);
        expect(text(await storage.get(location))).toBe(`writer ${won.indexOf(true)}`);
      }
    });

    test("a streamed object is not visible before close, and whole after it", async () => {
      const location = `${root}/stream/large`;
      const content = new Uint8Array(options.largeBytes);
      for (let at = 0; at < content.length; at += 1000) content[at] = at % 251;
      const writer = await storage.writer(location);
      const step = 700_001;
      for (let at = 0; at < content.length; at += step) {
        const chunk = content.slice(at, at + step);
        await writer.write(chunk);
        chunk.fill(0xff);
      }
      expect(await storage.head(location)).toBeNull();
      const stored = await writer.close();
      expect(stored).toEqual({ location, bytes: content.length });
      expect(sha256(await storage.get(location))).toBe(sha256(content));
      const end = content.length - 100;
      expect(await storage.getRange(location, end, 100)).toEqual(content.slice(end));
    });

    test("a streamed object never overwrites: of two streams to one name the first to close wins", async () => {
      const location = `${root}/stream/taken`;
      const [one, other] = await Promise.all([storage.writer(location), storage.writer(location)]);
      await one.write(new Uint8Array(options.largeBytes).fill(1));
      await other.write(new Uint8Array(options.largeBytes).fill(2));
      await one.close();
      expect(await kindThrown(other.close())).toBe("storage_refused");
      await other.abort();
      expect((await storage.getRange(location, 0, 3)).join()).toBe("1,1,1");
      expect((await storage.head(location))?.bytes).toBe(options.largeBytes);
    });

    test("an aborted stream leaves nothing", async () => {
      const writer = await storage.writer(`${root}/aborted/a`);
      await writer.write(new Uint8Array(options.largeBytes));
      await writer.abort();
      expect(await listed(`${root}/aborted/`)).toEqual([]);
      expect(await storage.head(`${root}/aborted/a`)).toBeNull();
    });

    test("a part of an object is read; a part beyond its end is an error", async () => {
      await storage.put(`${root}/range`, bytes("0123456789"));
      expect(text(await storage.getRange(`${root}/range`, 3, 4))).toBe("3456");
      expect((await storage.getRange(`${root}/range`, 10, 0)).length).toBe(0);
      expect(await kindThrown(storage.getRange(`${root}/range`, 8, 4))).toBe("storage_corrupt");
    });

    test("reading what does not exist is storage_missing; head answers null", async () => {
      expect(await kindThrown(storage.get(`${root}/no/such`))).toBe("storage_missing");
      expect(await kindThrown(storage.getRange(`${root}/no/such`, 0, 1))).toBe("storage_missing");
      expect(await storage.head(`${root}/no/such`)).toBeNull();
    });

    test("list answers all objects below a folder, by their locations, and no others", async () => {
      for (const name of ["t/data/a", "t/data/b=1/c", "t/metadata/m", "t2/data/a"])
        await storage.put(`${root}/list/${name}`, bytes(name));
      const found = await listed(`${root}/list/t/`);
      expect(found.map(({ location, bytes: size }) => [location, size])).toEqual([
        [`${root}/list/t/data/a`, 8],
        [`${root}/list/t/data/b=1/c`, 12],
        [`${root}/list/t/metadata/m`, 12],
      ]);
      expect(await listed(`${root}/list/nothing/`)).toEqual([]);
    });

    test("names with spaces, percent signs and other letters stay what they are", async () => {
      const location = `${root}/odd/a b%20c+d=é#?.parquet`;
      await storage.put(location, bytes("x"));
      expect(text(await storage.get(location))).toBe("x");
      expect((await listed(`${root}/odd/`)).map((found) => found.location)).toEqual([location]);
    });

    test("remove takes away many objects; those that do not exist are no error", async () => {
      const locations = Array.from({ length: 5 }, (_, at) => `${root}/remove/${at}`);
      for (const location of locations) await storage.put(location, bytes("x"));
      await storage.remove([...locations.slice(1), `${root}/remove/none`]);
      const left = await listed(`${root}/remove/`);
      expect(left.map((found) => found.location)).toEqual([`${root}/remove/0`]);
      await storage.remove(locations);
      await storage.remove([]);
      expect(await listed(`${root}/remove/`)).toEqual([]);
    });
  });
}
