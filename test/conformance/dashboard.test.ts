/**
 * The page at `/` in a real browser, before the product itself: charts move, a query runs, an error is
 * shown as one, and nothing in data is read as HTML.
 *
 * `SCREENSHOTS=docs bun test ./test/conformance/dashboard.test.ts` draws the pictures of docs/QUERY.md.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { produceEvents, produceValues } from "../../scripts/events/events.ts";
import { newCourse } from "../../scripts/prove/course.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { type Product, startProduct } from "../../scripts/services/product.ts";
import { type BrowserPage, openPage } from "../support/browser.ts";

const TOPIC = "clicks";
const HTML = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>";

let broker: KafkaBroker;
let product: Product;
let page: BrowserPage;
let produced: Promise<unknown>;

beforeAll(async () => {
  broker = await startKafka();
  const { bootstrap } = broker;
  const course = await newCourse({
    bootstrap,
    topic: TOPIC,
    partitions: 2,
    config: { "iceberg.commit": { interval_ms: 2000 } },
  });
  await produceValues({ bootstrap, topic: TOPIC }, [
    { value: JSON.stringify({ event_id: "html", event_type: HTML }) },
  ]);
  product = await startProduct({ config: course.config, folder: course.folder });
  await product.ready();
  produced = produceEvents({ bootstrap, topic: TOPIC, count: 30_000, rate: 1500, lingerMs: 5 });
  page = await openPage(`${product.url}/`);
}, 600_000);
afterAll(async () => {
  await page?.close();
  await produced;
  await product?.terminate();
  await broker?.stop();
});

/** Writes a statement into the console and runs it. */
async function ask(sql: string): Promise<void> {
  await page.evaluate(
    `document.querySelector("#sql").value = ${JSON.stringify(sql)}; document.querySelector("#run").click()`,
  );
  await page.until("the statement ends", '!document.querySelector("#run").disabled');
}

const textOf = (selector: string): Promise<unknown> =>
  page.evaluate(`document.querySelector(${JSON.stringify(selector)}).innerText`);

/** How many of the pixels of each chart are drawn upon, and a sum that changes with them. */
const PIXELS = `[...document.querySelectorAll("canvas")].map((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 0) sum = (sum * 31 + at) % 1e9;
  return sum;
})`;

test("the charts move while rows flow", async () => {
  await page.until("the charts are there", 'document.querySelectorAll("canvas").length === 5');
  await page.until(
    "rows are read and committed",
    `document.querySelector("#tables td.number")?.textContent > 3000`,
  );
  const first = (await page.evaluate(PIXELS)) as number[];
  await page.until(
    "every chart has changed",
    `(() => {
    const first = ${JSON.stringify(first)};
    return ${PIXELS}.every((sum, at) => sum !== first[at]);
  })()`,
  );
  expect(await textOf("#tables")).toContain(`default.${TOPIC}`);
  expect(await textOf("#trouble")).toBe("");
}, 120_000);

test("a statement's answer is a table, with the rows that are not committed yet", async () => {
  await ask(
    `SELECT event_type, count(*) AS n, max(_kafka_offset) AS newest FROM ${TOPIC} WHERE event_id <> 'html' GROUP BY ALL ORDER BY n DESC`,
  );
  expect(await textOf("#answer thead")).toMatch(/event_type VARCHAR\s+n BIGINT\s+newest BIGINT/);
  expect(
    await page.evaluate('document.querySelectorAll("#answer tbody tr").length'),
  ).toBeGreaterThan(1);
  expect(await textOf("#answered")).toMatch(/^\d+ rows · [\d.]+ ms · snapshot \d+/);
  expect(await page.evaluate('document.querySelector("#failure").hidden')).toBe(true);
  await picture("dashboard.png");
});

test("an error is shown as one, and the answer before it goes", async () => {
  for (const [sql, sentence] of [
    ["SELECT * FROM read_csv('/etc/passwd')", "may not be called"],
    ["SELEC 1", "cannot be read"],
    ["SELECT * FROM nothing", "There is no table nothing"],
  ] as const) {
    await ask(sql);
    expect(await textOf("#failure")).toContain(sentence);
    expect(await textOf("#answer")).toBe("");
  }
  await picture("dashboardError.png");
});

test("what data holds is text, also where it looks like HTML", async () => {
  await ask(
    `SELECT event_type, ${"'<b>bold</b>'"} AS "<i>name</i>" FROM ${TOPIC} WHERE event_id = 'html'`,
  );
  expect(await textOf("#answer tbody")).toContain(HTML);
  expect(await textOf("#answer thead")).toContain("<i>name</i>");
  expect(
    await page.evaluate('document.querySelectorAll("#answer :is(img, script, b, i)").length'),
  ).toBe(0);
  expect(await page.evaluate("document.title")).toBe("kafka-iceberg");
});

test("a statement that is cancelled ends", async () => {
  const endless =
    "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE (a.range * b.range) % 7 = 8";
  await page.evaluate(
    `document.querySelector("#sql").value = ${JSON.stringify(endless)}; document.querySelector("#run").click()`,
  );
  await page.until("it runs", '!document.querySelector("#cancel").disabled');
  await page.evaluate('document.querySelector("#cancel").click()');
  await page.until("it ends", '!document.querySelector("#run").disabled');
  expect(await textOf("#failure")).toBe("Cancelled");
  await ask("SELECT 1 AS one");
  expect(await textOf("#answer tbody")).toBe("1");
});

test("nobody but the process was asked, and the browser had nothing to refuse", () => {
  const others = page.requests.filter((url) => !url.startsWith(product.url) && url !== "data:,");
  expect(others).toEqual([]);
  // The three wrong statements were answered with 400, which the browser tells of.
  const complaints = page.complaints.filter((text) => !text.includes("status of 400"));
  expect(complaints).toEqual([]);
});

async function picture(name: string): Promise<void> {
  const folder = process.env["SCREENSHOTS"];
  if (folder !== undefined) await Bun.write(join(folder, name), await page.screenshot());
}
