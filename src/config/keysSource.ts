/**
 * The keys of `[source]`, `[schema_registry]`, `[schema]` and `[dead_letter]`: what records are and
 * how they become rows (SPEC section 4 and 5).
 */

/** Keys of `[source]`. */
export const SOURCE_KEYS = {
  "source.format": {
    type: "string",
    default: "json",
    values: ["json", "avro", "protobuf", "json-schema", "string", "bytes"],
    doc: "What a record's value is. `json-schema`: JSON in Confluent's wire format, with columns of its schemas' types. `avro`, `protobuf`: in Confluent's wire format with `schema_registry.url`, else bare, all written with `schema.file`. `string` and `bytes` give one column `value`.",
  },
  "source.key_format": {
    type: "string",
    default: "string",
    values: ["json", "avro", "protobuf", "json-schema", "string", "bytes", "long", "int"],
    doc: "With `key_field`: what the Kafka key is, from which every record (kstream), or one without a value (ktable, cdc), takes these columns: `json`, an object with them (or with them in `payload`); `avro`, `protobuf` and `json-schema`, the same in Confluent's wire format, by `schema_registry` (a key in Avro that is no record is the one column); `string`, the text of the one column; `bytes`, its bytes; `long` and `int`, as Kafka's own serializers write them. In ktable and cdc you also say by it that the Kafka key holds these columns and no others, so that all changes of a row are in one partition.",
  },
  "source.mode": {
    type: "string",
    default: "kstream",
    values: ["kstream", "ktable", "cdc"],
    doc: "`kstream` appends every record; `ktable` upserts by key; `cdc` follows Debezium envelopes.",
  },
  "source.key_field": {
    type: "strings",
    default: null,
    example: '["user_id"]',
    doc: "kstream: columns that the Kafka key fills, by `key_format`, whatever the value has under these names. ktable and cdc: the columns that say which row a record changes; they become the table's identifier fields where they are declared in `schema.fields`. None: the Kafka key, whose bytes are then kept in the metadata column `key`. A record without a value in one of them is rejected.",
  },
  "source.order_field": {
    type: "string",
    default: null,
    example: '"source.lsn"',
    doc: "ktable and cdc: the column that says which change of a key is later, a whole number or a time; in `cdc` also `source.lsn` and `source.ts_ms` of Debezium's envelope, which are then kept in `source_lsn` and `source_ts`. An older change that comes later is dropped, whatever partition and commit it comes by; of equal ones the later arrival counts; a record without it is rejected. Needs `on_delete` `mark` or `ignore`: the order of a delete is kept in its row. None: changes come in the order of their partition.",
  },
  "source.op_field": {
    type: "string",
    default: null,
    example: '"op"',
    doc: "cdc: a member of the row itself that says what was done, in place of Debezium's envelope: `c`, `r`, `u`, `i`, `create`, `read`, `insert`, `update`, `upsert` or `false` put the row, `d`, `delete`, `remove` or `true` delete it, `t` or `truncate` in a record without a key delete all rows, in any case, as text or as a boolean. `__op` and `__deleted` of Debezium's unwrap transform are such members. It is no column; the metadata column `op` holds it.",
  },
  "source.on_tombstone": {
    type: "string",
    default: "dead_letter",
    values: ["dead_letter", "skip", "null_row"],
    doc: "kstream, a record without a value (a tombstone): `dead_letter` rejects it, by `dead_letter.action`; `skip` passes over it; `null_row` makes a row of nulls with the metadata columns (ask for `key` among them). For formats `string` and `bytes` the default is `null_row`.",
  },
  "source.on_delete": {
    type: "string",
    default: "delete",
    values: ["delete", "mark", "ignore"],
    doc: "ktable and cdc: `delete` removes the row. `mark` keeps it, with true in the column `<prefix>deleted`: with the last image that the delete has, or, by a record without a value, with its key only. `ignore` passes over deletes. Of a truncate all rows are removed with `delete`, none with `ignore`; with `mark` it stops the table.",
  },
  "source.track_changes": {
    type: "boolean",
    default: false,
    doc: "ktable and cdc: also append every change to `<table>__changes`, which is committed before the table: the row after the change, of a delete what is known of the row before it, with `op` (cdc) and true in `<prefix>deleted` for deletes, and the coordinates of its record (docs/CHANGE_DATA.md).",
  },
  "source.event_time_field": {
    type: "string",
    default: null,
    example: '"ts"',
    doc: "The field that says when the event happened; partitioning by time uses it. Dots lead into objects: `meta.ts` is field `ts` of object `meta`. A record without it is a row with null there, in the partition of null; a value that is no time rejects the record. `check` reads no records: it cannot see that none has the field.",
  },
  "source.event_time_format": {
    type: "string",
    default: "epoch_millis",
    doc: "epoch_seconds, epoch_millis, epoch_micros, epoch_nanos (numbers, or their digits as text), iso8601 (`2026-01-31T23:59:59.123+01:00`; `T` or a space, seconds, fraction and zone optional), or a pattern: `yyyy`, `MM`, `dd`, `HH`, `mm`, `ss`, a run of `S` (fraction of a second), a run of `X` (zone: `Z`, `+01`, `+0100`, `+01:00`), and other characters as they are, letters in single quotes: `dd/MM/yyyy 'at' HH:mm:ss`. Text without a zone is taken as UTC. Times are never guessed from numbers.",
  },
  "source.metadata_columns": {
    type: "strings",
    default: ["partition", "offset", "timestamp"],
    values: [
      "topic",
      "partition",
      "offset",
      "timestamp",
      "key",
      "headers",
      "op",
      "source_ts",
      "source_lsn",
      "source_table",
    ],
    doc: "Columns with a record's coordinates; [] for none. The default lets every row be traced to its record. cdc: `op`, `source_ts`, `source_lsn` and `source_table` are taken from the envelope.",
  },
  "source.metadata_prefix": {
    type: "string",
    default: "_kafka_",
    mayBeEmpty: true,
    doc: "Prefix of those columns, so that they do not clash with the data's.",
  },
  "source.flatten": {
    type: "boolean",
    default: false,
    doc: "Nested objects become columns `a_b` instead of structs.",
  },
  "source.flatten_separator": {
    type: "string",
    default: "_",
    doc: "What joins the names when `flatten` is on.",
  },
  "source.late_threshold_seconds": {
    type: "integer",
    default: 0,
    min: 0,
    max: 31_536_000,
    doc: "A row is late when its event time (`event_time_field`) is further behind the greatest one that was read of its partition than this; 0: none is. Late rows are counted, and go into `late_table` (docs/LATE_ROWS.md).",
  },
  "source.late_table": {
    type: "string",
    default: null,
    example: '"events_late"',
    doc: "Late rows go into this table of the same database, which has the columns of theirs and is created with the first of them; `{topic}`, `{schema}` and `{table}` stand for what they do in `iceberg.table_name`. None: late rows go into their historic partition.",
  },
  "source.transform.select": {
    type: "strings",
    default: [],
    doc: "Only these fields become columns, with all that is inside them; none: all. Paths lead into objects with dots, into the elements of lists with `element`: `lines.element.sku`. Where one topic is read, a path of `source.transform` that none of the first records has stops the table: it is probably misspelt.",
  },
  "source.transform.exclude": {
    type: "strings",
    default: [],
    doc: "Fields that become no column, nor what is inside them.",
  },
  "source.transform.rename": {
    type: "map",
    default: {},
    doc: 'Columns of other names, by the field\'s path: `{"user.mail" = "email"}` makes `user.email` of `user.mail`. With `flatten` the name is the whole column\'s.',
  },
  "source.transform.mask": {
    type: "strings",
    default: [],
    doc: "Fields whose values are replaced by `***`, in a column of type string; null stays null. What is put aside as a dead letter is the record as it came.",
  },
  "source.transform.hash": {
    type: "strings",
    default: [],
    doc: "Fields whose values are replaced by their HMAC-SHA-256 (64 hexadecimal digits of the text, keyed with `hash_salt`), in a column of type string: equal values stay equal, and can be joined.",
  },
  "source.transform.hash_salt": {
    type: "string",
    default: null,
    example: '"${HASH_SALT}"',
    secret: true,
    doc: "The key of `hash`. Another key makes other hashes.",
  },
} as const;

/** Keys of `[schema_registry]`. */
export const REGISTRY_KEYS = {
  "schema_registry.url": {
    type: "string",
    default: null,
    example: '"https://registry.example.com"',
    doc: "A schema registry with Confluent's API. Several addresses of one registry, comma-separated: the first that answers is asked. No credentials in it.",
  },
  "schema_registry.basic_auth": {
    type: "string",
    default: null,
    example: '"${REGISTRY_AUTH}"',
    secret: true,
    doc: "`user:password`.",
  },
  "schema_registry.bearer": {
    type: "string",
    default: null,
    example: '"${REGISTRY_TOKEN}"',
    secret: true,
    doc: "A bearer token.",
  },
  "schema_registry.ca_file": {
    type: "string",
    default: null,
    example: '"/etc/registry/ca.pem"',
    doc: "PEM of the registry's CA.",
  },
  "schema_registry.cache_ttl_seconds": {
    type: "integer",
    default: 300,
    min: 0,
    max: 86_400,
    doc: "How long a subject's latest version, and that an id does not exist, is believed. What an id stands for never changes.",
  },
  "schema_registry.subject_strategy": {
    type: "string",
    default: "topic-name",
    values: ["topic-name", "record-name", "topic-record-name"],
    doc: 'How the subject of a topic\'s values is named; asked for by `on_missing = "latest"` only, since values name their schema by id.',
  },
  "schema_registry.on_missing": {
    type: "string",
    default: "dead_letter",
    values: ["dead_letter", "fail", "latest"],
    doc: "What a record is whose schema id the registry does not have, and says so for 30 s: `dead_letter` rejects it (`unknown_schema`); `fail` stops its table; `latest` reads it by the newest schema of the topic's subject. With `iceberg.route_field` it stops its tables, whatever this says: which of them it is for cannot be told (Avro, Protobuf).",
  },
} as const;

/** Keys of `[schema]`. */
export const SCHEMA_KEYS = {
  "schema.fields": {
    type: "tables",
    default: null,
    example: '[{name = "id", type = "long", required = true, doc = "the id"}]',
    doc: "Declared columns: `name`, `type` (Iceberg's text form, also struct<...>, list<...>, map<...>), `required`, `doc`. Excludes `file`.",
  },
  "schema.file": {
    type: "string",
    default: null,
    example: '"schema.json"',
    doc: 'The same as an Iceberg schema in JSON (`.json`). For `source.format = "avro"` an Avro schema (`.avsc`): the schema of every value without a registry, the reader\'s with one. For `source.format = "protobuf"` a `.proto` file, whose imports are looked for beside it and in the folders above, or a descriptor set (`protoc --include_imports --descriptor_set_out=FILE`). Excludes `fields`.',
  },
  "schema.message": {
    type: "string",
    default: null,
    example: '"acme.orders.Order"',
    doc: "`protobuf`: the full name of the message that every value is, where `schema.file` has more than one.",
  },
  "schema.infer": {
    type: "boolean",
    default: true,
    doc: 'Learn from the first records the columns that are not declared. Where some are declared, the others are learned with `on_unknown_field = "evolve"` only.',
  },
  "schema.infer_integers": {
    type: "string",
    default: "long",
    values: ["long", "double"],
    doc: "What a whole number makes of a column that nobody declared. A `long` column never becomes `double` (Iceberg has no such change): choose `double` where fractions may follow.",
  },
  "schema.match_columns": {
    type: "string",
    default: "exact",
    values: ["exact", "ignore-case"],
    doc: "How a field finds its column. `ignore-case`: `userId` goes into column `userid`; a record with both is rejected. Exact names are read faster.",
  },
  "schema.on_unknown_field": {
    type: "string",
    default: "evolve",
    values: ["evolve", "ignore", "rescue", "dead_letter"],
    doc: "A field that no column has: `evolve` adds one, `rescue` keeps it in column `_rescued`, as JSON by its path. Columns are never dropped or renamed by data.",
  },
  "schema.on_type_conflict": {
    type: "string",
    default: "dead_letter",
    values: ["dead_letter", "rescue", "fail"],
    doc: "A value that its column's type cannot hold: by `dead_letter.action`, or kept in column `_rescued` beside a null. Never a silent null.",
  },
  "schema.infer_rows": {
    type: "integer",
    default: 10_000,
    min: 1,
    max: 1_000_000,
    doc: "Records to learn from, or one second of them, whichever comes first: any fraction seen makes a double.",
  },
  "schema.max_columns": {
    type: "integer",
    default: 1000,
    min: 1,
    max: 10_000,
    doc: "Columns that a table may grow to, leaves of structs and lists counted one by one. A record with a new field beyond it is rejected (`too_many_columns`), by `dead_letter.action`.",
  },
} as const;

/** Keys of `[dead_letter]`. */
export const DEAD_LETTER_KEYS = {
  "dead_letter.action": {
    type: "string",
    default: "table",
    values: ["table", "topic", "skip", "fail"],
    doc: "What happens to a record that cannot become a row. `table` puts it into `<table>__dead_letter`, which is created with the first one (docs/DEAD_LETTER.md); `topic` produces it to `dead_letter.topic`, at least once; `fail` stops its table (exit 4); `skip` counts and logs it.",
  },
  "dead_letter.topic": {
    type: "string",
    default: null,
    example: '"events.dlq"',
    doc: 'The topic for `action = "topic"`, in the same cluster; it must exist.',
  },
  "dead_letter.max_ratio": {
    type: "number",
    default: 1.0,
    min: 0,
    max: 1,
    doc: "Below 1: the share of the last 10,000 records (at least 1,000 seen) that may be rejected; beyond it every table of the pipeline stops (exit 4), in front of the batch that went too far.",
  },
} as const;
