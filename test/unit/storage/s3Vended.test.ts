import { expect, test } from "bun:test";
import { count, errorOf, open } from "../../support/s3Rig.ts";

const CONTENT = new TextEncoder().encode("x");

/** Keys by number, each a new one when asked for a fresh one. */
function vending() {
  const asked: boolean[] = [];
  let number = 1;
  const vended = async (fresh: boolean) => {
    asked.push(fresh);
    if (fresh) number++;
    return { accessKeyId: `KEY${number}`, secretAccessKey: "s", sessionToken: `session-${number}` };
  };
  return { asked, credentials: { vended } };
}

test("keys that a catalog hands out are asked for before each request, and signed with", async () => {
  const { asked, credentials } = vending();
  const { storage, fake } = open({}, { s3: { credentials } });
  await storage.put("s3://b/one", CONTENT);
  const before = asked.length;
  await storage.put("s3://b/two", CONTENT);
  expect(asked.length).toBeGreaterThan(before);
  for (const { headers } of fake.requests) {
    expect(headers["authorization"]).toContain("Credential=KEY1/");
    expect(headers["x-amz-security-token"]).toBe("session-1");
  }
});

test("when the store refuses them, the catalog is asked for others, and the request is made again", async () => {
  const { asked, credentials } = vending();
  const refused = { status: 403, code: "ExpiredToken" };
  const { storage, fake } = open({ PutObject: [refused] }, { s3: { credentials } });
  await storage.put("s3://b/one", CONTENT);
  expect(count(fake, "PutObject")).toBe(2);
  expect(asked.filter((fresh) => fresh)).toHaveLength(1);
  expect(fake.requests.at(-1)?.headers["authorization"]).toContain("Credential=KEY2/");
});

test("a refusal that stays names whose credentials they are, and no secret", async () => {
  const { credentials } = vending();
  const refused = { status: 403, code: "AccessDenied" };
  const { storage } = open({ GetObject: Array(9).fill(refused) }, { s3: { credentials } });
  const error = await errorOf(storage.get("s3://b/one"));
  expect(error.kind).toBe("storage_refused");
  expect(error.message).toContain("credentials that the catalog handed out");
});
