/** Azure Blob Storage on a local folder: Microsoft's Azurite (Node). It checks keys and signatures. */
import { createHmac } from "node:crypto";
import { join } from "node:path";
import { azuriteScript } from "./cache.ts";
import { freePort, startService, temporaryFolder } from "./process.ts";

/** Azurite's account and its key, which everybody knows. */
const ACCOUNT = "devstoreaccount1";
const KEY =
  "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const API_VERSION = "2021-12-02";

/** A running Azurite. */
export interface Azurite {
  /** `http://127.0.0.1:port/devstoreaccount1`. */
  readonly endpoint: string;
  readonly port: number;
  readonly account: string;
  readonly key: string;
  readonly logFile: string;
  /** A SAS token of the account for blobs with these permissions (`racwdl`), for ten minutes or so long. */
  sas(permissions: string, lifeMs?: number): string;
  stop(): Promise<void>;
}

/** Starts it with one container and waits until it answers. */
export async function startAzurite({
  container = "warehouse",
}: {
  readonly container?: string;
} = {}): Promise<Azurite> {
  const script = await azuriteScript();
  const folder = await temporaryFolder("azurite");
  const port = freePort();
  const logFile = join(folder, "azurite.log");
  const unused = ["--queuePort", String(freePort()), "--tablePort", String(freePort())];
  const hosts = ["blob", "queue", "table"].flatMap((part) => [`--${part}Host`, "127.0.0.1"]);
  const endpoint = `http://127.0.0.1:${port}/${ACCOUNT}`;
  const command = ["node", script, ...hosts, "--blobPort", String(port), ...unused];
  const service = await startService({
    name: "Azurite",
    command: [...command, "-l", folder, "--silent", "--skipApiVersionCheck"],
    logFile,
    ready: async () => {
      const answer = await fetch(`${endpoint}?comp=list`).catch(() => null);
      return answer !== null;
    },
  });
  const made = await fetch(`${endpoint}/${container}?restype=container&${accountSas("rwdlac")}`, {
    method: "PUT",
    headers: { "x-ms-version": API_VERSION },
  });
  if (!made.ok) throw new Error(`the container ${container} was not made: ${made.status}`);
  return {
    endpoint,
    port,
    account: ACCOUNT,
    key: KEY,
    logFile,
    sas: accountSas,
    // It waits for connections that are kept.
    stop: () => service.stop(500),
  };
}

/** An account SAS (Azure's page "Create an account SAS"). */
function accountSas(permissions: string, lifeMs = 600_000): string {
  const time = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
  const [start, end] = [time(Date.now() - 60_000), time(Date.now() + lifeMs)];
  const fields = [ACCOUNT, permissions, "b", "sco", start, end, "", "https,http", API_VERSION, ""];
  const text = `${fields.join("\n")}\n`;
  const signature = createHmac("sha256", Buffer.from(KEY, "base64")).update(text).digest("base64");
  const query = { sv: API_VERSION, ss: "b", srt: "sco", sp: permissions, st: start, se: end };
  return new URLSearchParams({ ...query, spr: "https,http", sig: signature }).toString();
}
