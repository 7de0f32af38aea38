/** The description of the HTTP interface: valid OpenAPI, and of every route that is served. */
import { expect, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Lookups } from "#app/lookup.ts";
import { profileRoute } from "#app/profile.ts";
import { Queries } from "#app/queries.ts";
import { routesOf } from "#app/routes.ts";
import { tableRoute } from "#app/tableReport.ts";
import { systemClock } from "#base/clock.ts";
import { dashboardRoutes } from "#server/dashboard/dashboard.ts";
import { openapiDocument, openapiRoute } from "#server/openapi.ts";
import type { Route } from "#server/route.ts";

const DOCUMENT = JSON.parse(JSON.stringify(openapiDocument("1.2.3"))) as {
  readonly paths: { readonly [path: string]: { readonly [method: string]: object } };
};

test("is valid OpenAPI", async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(DOCUMENT));
  expect([valid, errors]).toEqual([true, undefined]);
});

test("has every route that is served but for the page, by its method, and no other", () => {
  const options = {
    ...{ timeoutMs: 1, rowsMax: 1, keepMs: 0, hasLookup: true, cacheFolder: null },
    copies: { root: "/nowhere", bytesMax: 0 },
  };
  const queries = new Queries({ clock: systemClock, options, tables: () => [], logFolder: "/" });
  const served: Route[] = [
    ...routesOf({} as never, {} as never, () => []),
    queries.route,
    new Lookups({ clock: systemClock, find: () => [] }).route,
    profileRoute(systemClock, false),
    tableRoute(() => []),
    openapiRoute(() => "1.2.3"),
  ];
  const page = dashboardRoutes().map(({ path }) => path);
  const names = new Set(
    served
      .filter(({ path }) => !page.includes(path))
      .map(({ method, path }) => `${method} ${path.replace(/\*$/, "")}`),
  );
  const described = Object.entries(DOCUMENT.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{.*$/, "")}`),
  );
  expect(described.sort()).toEqual([...names].sort());
});
