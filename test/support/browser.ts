/** A real browser without a screen, driven over the DevTools protocol: one page, and all that it did. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { chromium } from "../../scripts/services/chromium.ts";
import { keep, temporaryFolder, until } from "../../scripts/services/process.ts";

/** A page in a browser. */
export interface BrowserPage {
  /** URLs that it asked for, in order. */
  readonly requests: readonly string[];
  /** What the browser complained about: exceptions, refused content, failed requests. */
  readonly complaints: string[];
  /** The value of an expression, awaited, as JSON would have it. */
  evaluate(expression: string): Promise<unknown>;
  /** Waits until an expression is true. */
  until(what: string, expression: string): Promise<void>;
  /** PNG of the page, as wide as its window. */
  screenshot(): Promise<Uint8Array>;
  close(): Promise<void>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: {
    readonly request?: { readonly url: string };
    readonly exceptionDetails?: unknown;
    readonly entry?: { readonly level: string; readonly text: string };
  };
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

/** Opens a page. */
export async function openPage(url: string, width = 1240, height = 1180): Promise<BrowserPage> {
  const { binary, env } = await chromium();
  const folder = await temporaryFolder("browser");
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"];
  const child = Bun.spawn(
    [
      binary,
      ...flags,
      "--remote-debugging-port=0",
      `--user-data-dir=${folder}`,
      `--window-size=${width},${height}`,
      "about:blank",
    ],
    { env: { ...process.env, ...env }, stdout: "ignore", stderr: "ignore" },
  );
  keep(child);
  const file = `${folder}/DevToolsActivePort`;
  const port = (): string =>
    (existsSync(file) ? readFileSync(file, "utf8").split("\n")[0] : "") ?? "";
  await until("the browser listens", () => port() !== "", 60_000);
  const address = `http://127.0.0.1:${port()}`;
  const pages = (await (await fetch(`${address}/json`)).json()) as {
    readonly type: string;
    readonly webSocketDebuggerUrl: string;
  }[];
  const socket = pages.find(({ type }) => type === "page")?.webSocketDebuggerUrl ?? "";
  const session = await Session.open(socket);
  for (const domain of ["Page", "Runtime", "Network", "Log"])
    await session.call(`${domain}.enable`);
  await session.call("Page.navigate", { url });
  return {
    requests: session.requests,
    complaints: session.complaints,
    evaluate: (expression) => session.evaluate(expression),
    until: (what, expression) =>
      until(what, async () => (await session.evaluate(expression)) === true, 60_000),
    screenshot: async () => {
      const { data } = await session.call("Page.captureScreenshot", { format: "png" });
      return Buffer.from(String(data), "base64");
    },
    close: async () => {
      child.kill();
      await child.exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** One connection to one page. */
class Session {
  readonly requests: string[] = [];
  readonly complaints: string[] = [];
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<Readonly<Record<string, unknown>>>>();
  #calls = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(String(data)) as Message);
  }

  static async open(url: string): Promise<Session> {
    const socket = new WebSocket(url);
    const opened = Promise.withResolvers<void>();
    socket.onopen = () => opened.resolve();
    socket.onerror = () => opened.reject(new Error(`no answer from ${url}`));
    await opened.promise;
    return new Session(socket);
  }

  call(method: string, params: object = {}): Promise<Readonly<Record<string, unknown>>> {
    const id = ++this.#calls;
    const waiting = Promise.withResolvers<Readonly<Record<string, unknown>>>();
    this.#waiting.set(id, waiting);
    this.#socket.send(JSON.stringify({ id, method, params }));
    return waiting.promise;
  }

  async evaluate(expression: string): Promise<unknown> {
    const wanted = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.call("Runtime.evaluate", wanted);
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { readonly value?: unknown }).value;
  }

  #take({ id, method, params, result, error }: Message): void {
    if (id !== undefined) {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result ?? {});
      else waiting?.reject(new Error(error.message));
      return;
    }
    if (method === "Network.requestWillBeSent") this.requests.push(params?.request?.url ?? "");
    if (method === "Runtime.exceptionThrown") {
      this.complaints.push(JSON.stringify(params?.exceptionDetails));
    }
    const entry = params?.entry;
    if (method === "Log.entryAdded" && entry?.level === "error") this.complaints.push(entry.text);
  }
}
