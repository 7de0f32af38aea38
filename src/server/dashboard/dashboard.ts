/**
 * The page at `/`: charts of the running process and a console for SQL (SPEC section 7), all of it
 * inside the executable.
 *
 * The page itself holds no data and is shown to everybody who reaches the listener; what it shows comes
 * from `/status`, `/metrics` and `/query`, each of which decides who may ask (decision 0373). The
 * browser is told to run and load nothing but these files, to ask nobody else, and to refuse any text
 * as HTML.
 */

import uplotScript from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import uplotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import { type Route, type RouteRequest, SMALL } from "#server/route.ts";
import { jsonAnswer } from "#server/server.ts";
import ask from "./ask.js" with { type: "text" };
import cells from "./cells.js" with { type: "text" };
import charts from "./charts.js" with { type: "text" };
import consoleScript from "./console.js" with { type: "text" };
import figures from "./figures.js" with { type: "text" };
import style from "./page.css" with { type: "text" };
import page from "./page.html" with { type: "text" };
import script from "./page.js" with { type: "text" };

const SCRIPT = "text/javascript; charset=utf-8";
const STYLE = "text/css; charset=utf-8";

/** Path, type and text of all that the page consists of. */
const FILES: readonly (readonly [path: string, type: string, text: string])[] = [
  // Bun's types know a page as something to bundle; this one is read as it is.
  ["/", "text/html; charset=utf-8", page as unknown as string],
  ["/dashboard/page.css", STYLE, style],
  ["/dashboard/uplot.css", STYLE, uplotStyle],
  ["/dashboard/uplot.js", SCRIPT, uplotScript],
  ["/dashboard/page.js", SCRIPT, script],
  ["/dashboard/ask.js", SCRIPT, ask],
  ["/dashboard/cells.js", SCRIPT, cells],
  ["/dashboard/charts.js", SCRIPT, charts],
  ["/dashboard/console.js", SCRIPT, consoleScript],
  ["/dashboard/figures.js", SCRIPT, figures],
];

/** `data:` is the empty icon, which keeps browsers from asking for one. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const HEADERS = {
  "cache-control": "no-cache",
  "content-security-policy": POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** The routes of the page and of its files. */
export function dashboardRoutes(): Route[] {
  const files = new Map(FILES.map(([path, ...file]) => [path, file]));
  const answer = ({ url }: RouteRequest): Response => {
    const file = files.get(url.pathname);
    if (file === undefined) return jsonAnswer(404, { error: `The page has no ${url.pathname}` });
    const [type, text] = file;
    return new Response(text, { headers: { ...HEADERS, "content-type": type } });
  };
  const common = { method: "GET", listeners: ["health"], access: "public", limits: SMALL } as const;
  return ["/", "/dashboard/*"].map((path) => ({ ...common, path, answer }));
}

/** Paths of all that the page consists of. */
export const DASHBOARD_PATHS: readonly string[] = FILES.map(([path]) => path);
