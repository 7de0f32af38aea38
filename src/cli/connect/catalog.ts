/**
 * `iceberg.catalog.*` of a sink: the catalog, and the store behind it. The keys are those of Iceberg's
 * Java library, whose names are the same in Apache's sink and in Tabular's.
 */
import type { Draft } from "./draft.ts";

const P = "iceberg.catalog.";

/** Keys that only have another name. */
const SAME: Readonly<Record<string, string>> = {
  "s3.endpoint": "storage.s3.endpoint",
  "s3.sse.key": "storage.s3.sse_kms_key_id",
};
const SECRETS: Readonly<Record<string, string>> = {
  "s3.access-key-id": "storage.s3.access_key_id",
  "s3.secret-access-key": "storage.s3.secret_access_key",
  "s3.session-token": "storage.s3.session_token",
};
/** Settings of Java alone: what they ask for is found out here, or does not exist. */
const NEEDLESS: ReadonlySet<string> = new Set([
  "io-impl",
  "s3.region",
  "client.region",
  "jdbc.schema-version",
  "cache-enabled",
  "s3.remote-signing-enabled",
]);

type CatalogKind = "rest" | "glue" | "hive" | "jdbc" | "hadoop" | "nessie";
const IMPLEMENTATIONS: readonly (readonly [RegExp, CatalogKind])[] = [
  [/GlueCatalog$/, "glue"],
  [/HiveCatalog$/, "hive"],
  [/RESTCatalog$/, "rest"],
  [/JdbcCatalog$/, "jdbc"],
  [/HadoopCatalog$/, "hadoop"],
  [/NessieCatalog$/, "nessie"],
];

/** Translates the catalog and the store. */
export function importCatalog(draft: Draft): void {
  const region = draft.take(`${P}client.region`) ?? draft.take(`${P}s3.region`);
  const kind = kindOf(draft);
  if (kind !== null) CATALOGS[kind](draft, region);
  importStore(draft, region);
  for (const key of NEEDLESS) draft.take(P + key);
  for (const key of draft.takeAll(P).keys())
    draft.refuse(P + key, "no such setting of a catalog here");
}

function kindOf(draft: Draft): CatalogKind | null {
  const type = draft.take(`${P}type`);
  const implementation = draft.take(`${P}catalog-impl`);
  const known = Object.keys(CATALOGS).find((kind) => kind === type?.toLowerCase());
  if (known !== undefined) return known as CatalogKind;
  const found = IMPLEMENTATIONS.find(([form]) => form.test(implementation ?? ""));
  if (found !== undefined) return found[1];
  if (type !== null) draft.refuse(`${P}type`, "there is no such catalog here");
  else if (implementation !== null) {
    draft.refuse(`${P}catalog-impl`, "catalogs of one's own in Java cannot be loaded");
  } else draft.note("The sink names no type of catalog: set iceberg.catalog_type.");
  return null;
}

const CATALOGS: Readonly<Record<CatalogKind, (draft: Draft, region: string | null) => void>> = {
  rest: (draft) => {
    draft.set("iceberg.catalog_type", "rest");
    copy(draft, {
      uri: "iceberg.rest.uri",
      warehouse: "iceberg.rest.warehouse",
      prefix: "iceberg.rest.prefix",
    });
    restLogin(draft);
    restHeaders(draft);
  },
  glue: (draft, region) => {
    draft.set("iceberg.catalog_type", "glue");
    if (region !== null) draft.set("iceberg.glue.region", region);
    copy(draft, {
      warehouse: "iceberg.warehouse_path",
      "glue.id": "iceberg.glue.catalog_id",
      "glue.endpoint": "iceberg.glue.endpoint",
      "client.assume-role.arn": "iceberg.glue.role_arn",
    });
    draft.take(`${P}client.assume-role.region`);
    const archive = draft.take(`${P}glue.skip-archive`);
    if (archive !== null) draft.set("iceberg.glue.skip_archive", archive === "true");
  },
  hive: (draft) => {
    draft.set("iceberg.catalog_type", "hive");
    copy(draft, { uri: "iceberg.hive.metastore_uri", warehouse: "iceberg.warehouse_path" });
  },
  jdbc: (draft) => {
    draft.set("iceberg.catalog_type", "sql");
    copy(draft, { warehouse: "iceberg.warehouse_path" });
    draft.set("iceberg.sql.name", draft.take("iceberg.catalog") ?? "iceberg");
    jdbcUri(draft);
  },
  hadoop: (draft) => {
    draft.set("iceberg.catalog_type", "file");
    copy(draft, { warehouse: "iceberg.warehouse_path" });
  },
  nessie: (draft) => {
    draft.set("iceberg.catalog_type", "nessie");
    const uri = draft.take(`${P}uri`);
    if (uri !== null) {
      draft.set("iceberg.nessie.uri", uri.replace(/\/api\/v[12]\/?$/, "/iceberg"));
      draft.note("Nessie is spoken to by its Iceberg REST address: see iceberg.nessie.uri.");
    }
    copy(draft, { ref: "iceberg.nessie.ref", warehouse: "iceberg.rest.warehouse" });
    secret(draft, "authentication.token", "iceberg.nessie.auth");
    draft.take(`${P}authentication.type`);
  },
};

function restLogin(draft: Draft): void {
  const isSigned = draft.take(`${P}rest.sigv4-enabled`) === "true";
  const token = draft.take(`${P}token`);
  const credential = draft.take(`${P}credential`);
  copy(draft, {
    "oauth2-server-uri": "iceberg.rest.oauth2_server_uri",
    scope: "iceberg.rest.scope",
    "rest.signing-name": "iceberg.rest.signing_name",
    "rest.signing-region": "iceberg.rest.signing_region",
  });
  draft.take(`${P}rest.auth.type`);
  const key = "iceberg.rest.credential";
  if (isSigned) draft.set("iceberg.rest.credential_type", "sigv4");
  else if (credential !== null) {
    draft.set("iceberg.rest.credential_type", "oauth2");
    draft.setSecret(key, `${P}credential`, credential);
  } else if (token !== null) {
    draft.set("iceberg.rest.credential_type", "bearer");
    draft.setSecret(key, `${P}token`, token);
  }
}

/** Headers may hold keys and tokens, so none of their values is printed. */
function restHeaders(draft: Draft): void {
  const delegation = draft.take(`${P}header.X-Iceberg-Access-Delegation`);
  if (delegation !== null) {
    draft.set("iceberg.rest.vended_credentials", delegation.includes("vended-credentials"));
    if (delegation.includes("remote-signing")) draft.set("iceberg.rest.remote_signing", true);
  }
  const headers = [...draft.takeAll(`${P}header.`)].map(([name, value]) => {
    const variable = `CATALOG_HEADER_${name.toUpperCase().replace(/[^A-Z0-9]+/g, "_")}`;
    return [name, draft.secret(variable, `${P}header.${name}`, value)] as const;
  });
  if (headers.length > 0) draft.set("iceberg.rest.headers", Object.fromEntries(headers));
}

/** The address with its login is one value here, and its password a variable. */
function jdbcUri(draft: Draft): void {
  const uri = draft.take(`${P}uri`);
  const user = draft.take(`${P}jdbc.user`);
  const password = draft.take(`${P}jdbc.password`);
  if (uri === null) return;
  const sqlite = /^jdbc:sqlite:(?:file:)?(.+)$/.exec(uri)?.[1];
  const postgres = /^jdbc:postgresql:\/\/([^?]+)/.exec(uri)?.[1];
  if (sqlite !== undefined) draft.set("iceberg.sql.uri", `sqlite:${sqlite}`);
  else if (postgres === undefined) {
    draft.refuse(`${P}uri`, "of databases SQLite and PostgreSQL are spoken to");
  } else {
    if (uri.includes("?")) draft.refuse(`${P}uri`, "what follows its ? is left out");
    const from = `${P}jdbc.password, percent-encoded`;
    const part = password === null ? "" : `:${draft.secret("CATALOG_PASSWORD", from, password)}`;
    const login = user === null ? "" : `${encodeURIComponent(user)}${part}@`;
    draft.setWithReferences("iceberg.sql.uri", `postgres://${login}${postgres}`);
  }
}

function importStore(draft: Draft, region: string | null): void {
  copy(draft, SAME);
  for (const [from, to] of Object.entries(SECRETS)) secret(draft, from, to);
  const ownRegion = draft.take(`${P}s3.region`) ?? region;
  if (ownRegion !== null) draft.set("storage.s3.region", ownRegion);
  const pathStyle = draft.take(`${P}s3.path-style-access`);
  if (pathStyle !== null) draft.set("storage.s3.path_style", pathStyle === "true");
  const sse = draft.take(`${P}s3.sse.type`);
  const form = { s3: "AES256", kms: "aws:kms", none: "none" }[sse ?? ""];
  if (form !== undefined) draft.set("storage.s3.sse", form);
  else if (sse !== null) draft.refuse(`${P}s3.sse.type`, "set storage.s3.sse by hand");
}

function copy(draft: Draft, names: Readonly<Record<string, string>>): void {
  for (const [from, to] of Object.entries(names)) {
    const value = draft.take(P + from);
    if (value !== null) draft.set(to, value);
  }
}

function secret(draft: Draft, from: string, to: string): void {
  const value = draft.take(P + from);
  if (value !== null) draft.setSecret(to, P + from, value);
}
