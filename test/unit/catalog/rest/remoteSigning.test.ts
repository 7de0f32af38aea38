/** A REST catalog that signs requests to S3: when it is used, what it is asked, and where. */
import { expect, test } from "bun:test";
import { parseJson } from "#base/json.ts";
import type { RemoteSigner } from "#storage/s3Signer.ts";
import { answer } from "../../../fakes/restServer.ts";
import { rejection } from "../../../support/rejection.ts";
import { createTable, type RestRig, restRig } from "../../../support/restRig.ts";

const REQUEST = {
  method: "PUT",
  uri: "http://s3.test/bucket/key?partNumber=1",
  region: "eu-1",
  headers: { host: "s3.test", "x-amz-content-sha256": "00" },
  body: null,
};

/** A server that names a new place to sign with each answer about a table, and signs there. */
async function rigOf(
  config: Record<string, string>,
  remoteSigning = true,
): Promise<RestRig & { readonly signer: () => RemoteSigner }> {
  let number = 0;
  const rig = await restRig({ remoteSigning }, (server) => {
    server.warehouse = "s3://bucket";
    server.tableExtra = () => {
      number++;
      const place = { "s3.signer.endpoint": `v1/sign/${number}?for=t` };
      return { config: { "s3.remote-signing-enabled": "true", ...place, ...config } };
    };
    server.intercept = async ({ url }) =>
      /\/v1\/sign\//.test(url)
        ? answer(200, { uri: REQUEST.uri, headers: { Authorization: [url], "x-a": ["1", "2"] } })
        : null;
  });
  await createTable(rig);
  const signer = (): RemoteSigner => {
    const opened = rig.opened.at(-1);
    if (opened?.family !== "s3" || opened.keys === null || !("sign" in opened.keys))
      throw new Error("nobody signs");
    return opened.keys;
  };
  return { ...rig, signer };
}

test("the catalog is shown the request, and its answer's headers are taken", async () => {
  const { signer, server } = await rigOf({});
  const url = "http://rest.test/v1/sign/1?for=t";
  expect(await signer().sign(REQUEST)).toEqual({
    uri: REQUEST.uri,
    headers: { Authorization: url, "x-a": "1,2" },
  });
  const asked = server.requests.at(-1);
  expect(asked).toMatchObject({ method: "POST", url });
  expect(parseJson(asked?.body ?? "")).toEqual({
    method: "PUT",
    region: "eu-1",
    uri: REQUEST.uri,
    headers: { host: ["s3.test"], "x-amz-content-sha256": ["00"] },
    properties: {},
  });
});

test("renewing loads the table for the place where it signs now, and opens no other store", async () => {
  const { signer, opened } = await rigOf({});
  const before = opened.length;
  const first = signer();
  await first.renew();
  const { headers } = await first.sign(REQUEST);
  expect(headers["Authorization"]).toBe("http://rest.test/v1/sign/2?for=t");
  expect(opened).toHaveLength(before);
});

test("another address is asked where the catalog names one", async () => {
  const { signer } = await rigOf({ "s3.signer.uri": "http://signer.test/" });
  const { headers } = await signer().sign(REQUEST);
  expect(headers["Authorization"]).toBe("http://signer.test/v1/sign/1?for=t");
});

test("what it does not sign is refused with its reason, without the query of the request", async () => {
  const { signer, server } = await rigOf({});
  server.intercept = async () =>
    answer(403, { error: { message: "not yours", type: "ForbiddenException", code: 403 } });
  const error = await rejection(signer().sign(REQUEST));
  expect(error).toMatchObject({ kind: "storage_refused", context: { status: 403 } });
  expect(String(error)).toContain("PUT of /bucket/key (HTTP 403 ForbiddenException: not yours)");
});

test("keys that are lent as well are used, and spare the questions", async () => {
  const { opened } = await rigOf({ "s3.access-key-id": "k", "s3.secret-access-key": "s" });
  expect(opened.at(-1)).toMatchObject({ keys: { vended: expect.any(Function) } });
});

test("without the setting nobody is asked to sign", async () => {
  const { opened, server } = await rigOf({ "client.region": "eu-1" }, false);
  expect(opened.at(-1)).toMatchObject({ region: "eu-1", keys: null });
  const asked = server.requests.map(({ headers }) => headers["x-iceberg-access-delegation"]);
  expect(new Set(asked.filter((each) => each !== undefined))).toEqual(
    new Set(["vended-credentials"]),
  );
});
