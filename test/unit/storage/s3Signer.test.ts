/** Requests to S3 that a catalog signs: what it is shown, what is sent, and what becomes of a refusal. */
import { expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import { PART_BYTES } from "#storage/partMemory.ts";
import type { UnsignedRequest } from "#storage/s3Signer.ts";
import { count, errorOf, open } from "../../support/s3Rig.ts";

const CONTENT = new TextEncoder().encode("x");
const HASH = new Bun.CryptoHasher("sha256").update(CONTENT).digest("hex");

/** Signs with a number that grows with each renewal; what it was shown. */
function signing(refusals = 0) {
  const shown: UnsignedRequest[] = [];
  let [number, left] = [1, refusals];
  const sign = async (request: UnsignedRequest) => {
    shown.push(request);
    if (left-- > 0) throw fail("storage_refused", "The catalog does not sign", { status: 403 });
    return { uri: request.uri, headers: { Authorization: `signed ${number}` } };
  };
  const renew = async () => void number++;
  return { shown, credentials: { sign, renew } };
}

test("each request goes with the catalog's signature, which was shown all that it must cover", async () => {
  const { shown, credentials } = signing();
  const { storage, fake } = open({}, { s3: { credentials } });
  await storage.put("s3://b/a folder/o'ne", CONTENT);
  await storage.put("s3://b/large", new Uint8Array(2 * PART_BYTES + 1));
  await storage.get("s3://b/large");
  await storage.remove(["s3://b/large"]);
  expect(fake.requests.map(({ headers }) => headers["authorization"])).toEqual(
    fake.requests.map(() => "signed 1"),
  );
  expect(shown).toHaveLength(fake.requests.length);
  expect(shown[0]).toMatchObject({
    method: "PUT",
    region: "us-east-1",
    headers: { host: "s3.invalid", "x-amz-content-sha256": HASH },
    body: null,
  });
  expect(shown[0]?.uri.split("?")[0]).toBe("http://s3.invalid/b/a%20folder/o%27ne");
  for (const { headers } of shown) expect(headers["authorization"]).toBeUndefined();
  expect(shown.at(-1)).toMatchObject({ method: "POST" });
  expect(shown.at(-1)?.body).toContain("<Key>large</Key>");
  expect(shown.slice(0, -1).every(({ body }) => body === null)).toBe(true);
});

test("an address that comes back is the one that is asked, its query included", async () => {
  const sign = async ({ uri }: UnsignedRequest) => ({
    uri: `${uri.replace("s3.invalid/b/", "s3.other:81/b/moved-")}&X-Amz-Signature=a%2Fb`,
    headers: {},
  });
  const { storage, fake } = open({}, { s3: { credentials: { sign, renew: async () => null } } });
  await storage.put("s3://b/one", CONTENT);
  expect([...fake.objects.keys()]).toEqual(["b/moved-one"]);
});

test("a refused signature is asked for once more, in another place when the catalog names one", async () => {
  const { credentials } = signing();
  const refused = { status: 403, code: "AccessDenied" };
  const { storage, fake } = open({ PutObject: [refused] }, { s3: { credentials } });
  await storage.put("s3://b/one", CONTENT);
  expect(fake.requests.at(-1)?.headers["authorization"]).toBe("signed 2");
});

test("what the catalog does not sign is refused, and never sent", async () => {
  const { credentials } = signing(2);
  const { storage, fake } = open({}, { s3: { credentials } });
  const error = await errorOf(storage.put("s3://b/one", CONTENT));
  expect(error).toMatchObject({ kind: "storage_refused", message: "The catalog does not sign" });
  expect(count(fake, "PutObject")).toBe(0);
});
