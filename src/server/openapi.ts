/** `GET /openapi.json`: the HTTP interface described for programs (OpenAPI 3.1). */
import { type Route, SMALL } from "./route.ts";
import { jsonAnswer } from "./server.ts";

/** The route. @param version of the program */
export function openapiRoute(version: () => string): Route {
  return {
    method: "GET",
    path: "/openapi.json",
    listeners: ["health"],
    access: "public",
    limits: SMALL,
    answer: () => jsonAnswer(200, openapiDocument(version())),
  };
}

type Schema = { readonly [key: string]: unknown };

const TEXT: Schema = { type: "string" };
const COUNT: Schema = { type: "integer", minimum: 0 };
const HEALTH_STATUS: Schema = { enum: ["ok", "degraded", "failed"] };
/** Integers beyond 2^53 are texts. */
const INTEGER: Schema = { type: ["integer", "string"] };

/** The description. @param version of the program */
export function openapiDocument(version: string): Schema {
  return {
    openapi: "3.1.0",
    info: {
      title: "kafka-iceberg",
      version,
      description:
        "SQL over Iceberg tables and the rows that are not committed yet, and what an operator asks. " +
        "Paths that need server.query_token answer programs on the process's own machine without it.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "http://127.0.0.1:8080", description: "server.health_address" }],
    paths: { ...OPERATION_PATHS, ...DATA_PATHS },
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: {
        Error: object({ error: TEXT }),
        Answer: ANSWER,
        Health: HEALTH,
        Question: QUESTION,
      },
    },
  };
}

function object(properties: Schema, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", properties, required };
}

function list(items: Schema): Schema {
  return { type: "array", items };
}

const ANSWER = object({
  columns: list(object({ name: TEXT, type: TEXT })),
  rows: list({ type: "array", description: "Values in the order of the columns." }),
  row_count: COUNT,
  elapsed_ms: { type: "number" },
  snapshot_id: {
    type: ["string", "null"],
    description: "Of the only table that the statement names.",
  },
  hot_partitions: {
    ...list(TEXT),
    description: "TOPIC/NUMBER whose rows in memory are in the answer.",
  },
});

const QUESTION = object(
  {
    sql: { type: "string", description: "One SELECT of DuckDB's SQL, or an EXPLAIN of one." },
    params: {
      ...list({ type: ["string", "number", "boolean", "null"] }),
      description: "For each ? one.",
    },
  },
  ["params"],
);

const CHECK = object({ status: HEALTH_STATUS, detail: TEXT });
const HEALTH = object({
  status: HEALTH_STATUS,
  checks: { type: "object", additionalProperties: CHECK },
});

function reference(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

function content(schema: Schema, type = "application/json"): Schema {
  return { [type]: { schema } };
}

function answer(description: string, schema: Schema): Schema {
  return { description, content: content(schema) };
}

/** Answers that are errors, by their codes. */
function errors(sentences: Readonly<Record<string, string>>): Schema {
  return Object.fromEntries(
    Object.entries(sentences).map(([code, text]) => [code, answer(text, reference("Error"))]),
  );
}

const FORBIDDEN = { 403: "The right to ask was not shown." };
const SECURITY = [{ token: [] }, {}];

function parameter(place: "path" | "query", name: string, description: string): Schema {
  return { in: place, name, description, schema: TEXT, required: place === "path" };
}

const OPERATION_PATHS: Schema = {
  "/health": {
    get: {
      summary: "Whether the process does its work; never failed for a service that is away",
      responses: {
        200: answer("ok or degraded", reference("Health")),
        503: answer("failed", reference("Health")),
      },
    },
  },
  "/ready": {
    get: {
      summary: "Whether partitions are assigned and their offsets resolved",
      responses: {
        200: answer("ready", object({ ready: { const: true } })),
        503: answer("not yet", object({ ready: { const: false } })),
      },
    },
  },
  "/status": {
    get: {
      summary: "Pipelines, tables, partitions",
      security: SECURITY,
      responses: {
        200: answer("As of now", {
          ...object({ version: TEXT, pipelines: list({ type: "object" }), rowsConsumed: INTEGER }),
          additionalProperties: true,
        }),
        ...errors(FORBIDDEN),
      },
    },
  },
  "/metrics": {
    get: {
      summary: "Metrics for Prometheus, also at server.metrics_address",
      responses: { 200: { description: "Text", content: content(TEXT, "text/plain") } },
    },
  },
  "/profile": {
    get: {
      summary: "CPU profile for a bug report (server.profile_enabled)",
      security: SECURITY,
      parameters: [parameter("query", "seconds", "1 to 60; default 10")],
      responses: {
        200: answer("In the form of Chrome's developer tools (.cpuprofile)", { type: "object" }),
        ...errors({
          400: "seconds is none of 1 to 60.",
          403: "Profiles are off, or the right to ask was not shown.",
        }),
      },
    },
  },
  "/openapi.json": {
    get: {
      summary: "This description",
      responses: { 200: answer("OpenAPI 3.1", { type: "object" }) },
    },
  },
};

const DATA_PATHS: Schema = {
  "/query": {
    post: {
      summary: "SQL over the tables of the process, with the rows that are not committed yet",
      security: SECURITY,
      parameters: [
        parameter(
          "query",
          "snapshot",
          "Of every table that names no time of its own: a snapshot's id",
        ),
        parameter(
          "query",
          "as_of",
          "The same by time: 2026-01-08 12:00:00, UTC where it names no zone",
        ),
      ],
      requestBody: { required: true, content: content(reference("Question")) },
      responses: {
        200: {
          description: "By Accept: JSON, CSV, or an Arrow stream",
          content: {
            ...content(reference("Answer")),
            ...content(TEXT, "text/csv"),
            ...content({}, "application/vnd.apache.arrow.stream"),
          },
        },
        ...errors({
          ...FORBIDDEN,
          400: "What the statement says cannot be done.",
          406: "Accept names no format that is served.",
          413: "The body is too large.",
          503: "The engine cannot be had now, or too many ask.",
          504: "server.query_timeout_ms passed.",
        }),
      },
    },
  },
  "/lookup/{table}/{key}": {
    get: {
      summary: "The latest row of a key among the rows in memory, without SQL",
      description: "A key of several columns: /lookup/TABLE/A/B.",
      security: SECURITY,
      parameters: [
        parameter("path", "table", "A table of the process"),
        parameter("path", "key", "Its key's value"),
        parameter(
          "query",
          "by",
          "Columns that are the key, separated by commas; default: identifier fields, else the Kafka key",
        ),
      ],
      responses: {
        200: answer("The row", object({ table: TEXT, row: { type: "object" } })),
        ...errors({
          ...FORBIDDEN,
          400: "The table has no such key or column.",
          404: "No row in memory has the key, or it was deleted, or there is no such table.",
          503: "The table is not open yet.",
        }),
      },
    },
  },
  "/tables/{name}": {
    get: {
      summary: "A table as the catalog has it",
      security: SECURITY,
      parameters: [parameter("path", "name", "TABLE or NAMESPACE.TABLE")],
      responses: {
        200: answer("Columns, partitioning, snapshots, files", { type: "object" }),
        ...errors({
          ...FORBIDDEN,
          404: "No pipeline writes it.",
          503: "The catalog does not answer.",
        }),
      },
    },
  },
};
