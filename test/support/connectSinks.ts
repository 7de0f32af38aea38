/**
 * Five configurations of Kafka Connect's Iceberg sinks, as people have them, and what each becomes.
 */

interface Sink {
  readonly name: string;
  readonly file: string;
  readonly text: string;
  /** Of each pipeline: values that it must have. */
  readonly expected: readonly Readonly<Record<string, unknown>>[];
  /** What must not be printed. */
  readonly secrets: readonly string[];
  /** Keys that have no counterpart: these and no others. */
  readonly unmatched: readonly string[];
}

const APACHE = "org.apache.iceberg.connect.IcebergSinkConnector";
const TABULAR = "io.tabular.iceberg.connect.IcebergSinkConnector";

/** The configurations. */
export const SINKS: readonly Sink[] = [
  {
    name: "a sink to a REST catalog with MinIO",
    file: "rest.json",
    text: JSON.stringify({
      name: "events-sink",
      config: {
        "connector.class": APACHE,
        "tasks.max": 2,
        topics: "events",
        "iceberg.tables": "default.events",
        "iceberg.tables.auto-create-enabled": "true",
        "iceberg.tables.evolve-schema-enabled": "true",
        "iceberg.tables.default-partition-by": "days(ts), bucket(user_id, 16)",
        "iceberg.tables.auto-create-props.format-version": "2",
        "iceberg.tables.write-props.write.parquet.compression-codec": "zstd",
        "iceberg.catalog.type": "rest",
        "iceberg.catalog.uri": "https://catalog.example.com",
        "iceberg.catalog.warehouse": "prod",
        "iceberg.catalog.credential": "writer:rest-secret",
        "iceberg.catalog.oauth2-server-uri": "https://login.example.com/token",
        "iceberg.catalog.scope": "PRINCIPAL_ROLE:ALL",
        "iceberg.catalog.header.X-Iceberg-Access-Delegation": "vended-credentials",
        "iceberg.catalog.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        "iceberg.catalog.s3.endpoint": "http://minio:9000",
        "iceberg.catalog.s3.path-style-access": "true",
        "iceberg.catalog.s3.access-key-id": "minio-key",
        "iceberg.catalog.s3.secret-access-key": "minio-secret",
        "iceberg.catalog.client.region": "us-east-1",
        "iceberg.control.commit.interval-ms": "60000",
        "iceberg.control.topic": "control-iceberg",
        "iceberg.kafka.bootstrap.servers": "kafka-1:9092,kafka-2:9092",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": false,
      },
    }),
    expected: [
      {
        "kafka.bootstrap_servers": "kafka-1:9092,kafka-2:9092",
        "kafka.topic": "events",
        "kafka.consumer_group": "kafka-iceberg-events-sink",
        "source.format": "json",
        "source.metadata_columns": [],
        "iceberg.catalog_type": "rest",
        "iceberg.database_name": "default",
        "iceberg.table_name": "events",
        "iceberg.rest.uri": "https://catalog.example.com",
        "iceberg.rest.warehouse": "prod",
        "iceberg.rest.credential_type": "oauth2",
        "iceberg.rest.credential": "value-of-ICEBERG_REST_CREDENTIAL",
        "iceberg.rest.scope": "PRINCIPAL_ROLE:ALL",
        "iceberg.rest.vended_credentials": true,
        "iceberg.commit.interval_ms": 60_000,
        "iceberg.write.compression": "zstd",
        "partitioning.spec": ["day(ts)", "bucket(user_id, 16)"],
        "storage.s3.endpoint": "http://minio:9000",
        "storage.s3.path_style": true,
        "storage.s3.access_key_id": "value-of-STORAGE_S3_ACCESS_KEY_ID",
        "dead_letter.action": "fail",
      },
    ],
    secrets: ["rest-secret", "minio-key", "minio-secret"],
    unmatched: [],
  },
  {
    name: "Tabular's sink to Glue with MSK",
    file: "glue.properties",
    text: `# Glue
name=orders
connector.class=${TABULAR}
tasks.max=4
topics=orders,\\
  orders-archive
iceberg.tables=shop.orders
iceberg.tables.default-partition-by=months(created_at)
iceberg.tables.upsert-mode-enabled=true
iceberg.tables.default-id-columns=id
iceberg.catalog.catalog-impl=org.apache.iceberg.aws.glue.GlueCatalog
iceberg.catalog.warehouse=s3://acme-lake/warehouse
iceberg.catalog.io-impl=org.apache.iceberg.aws.s3.S3FileIO
iceberg.catalog.client.region=eu-central-1
iceberg.catalog.glue.id=123456789012
iceberg.catalog.s3.sse.type=kms
iceberg.catalog.s3.sse.key=arn\\:aws\\:kms\\:eu-central-1\\:123456789012\\:key/abc
bootstrap.servers=b-1.acme.kafka.eu-central-1.amazonaws.com:9098
consumer.security.protocol=SASL_SSL
consumer.sasl.mechanism=AWS_MSK_IAM
consumer.sasl.jaas.config=software.amazon.msk.auth.iam.IAMLoginModule required awsRoleArn="arn:aws:iam::123456789012:role/msk";
consumer.sasl.client.callback.handler.class=software.amazon.msk.auth.iam.IAMClientCallbackHandler
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=false
errors.tolerance=all
transforms=flatten
transforms.flatten.type=org.apache.kafka.connect.transforms.Flatten$Value
`,
    expected: [
      {
        "kafka.topics": ["orders", "orders-archive"],
        "kafka.sasl.mechanism": "aws-msk-iam",
        "kafka.sasl.role_arn": "arn:aws:iam::123456789012:role/msk",
        "kafka.ssl.enabled": true,
        "iceberg.catalog_type": "glue",
        "iceberg.glue.region": "eu-central-1",
        "iceberg.glue.catalog_id": "123456789012",
        "iceberg.warehouse_path": "s3://acme-lake/warehouse",
        "iceberg.table_management.auto_create_if_missing": false,
        "schema.on_unknown_field": "ignore",
        "storage.s3.sse": "aws:kms",
        "storage.s3.sse_kms_key_id": "arn:aws:kms:eu-central-1:123456789012:key/abc",
        "partitioning.spec": ["month(created_at)"],
        "dead_letter.action": "skip",
      },
    ],
    secrets: [],
    unmatched: [
      "iceberg.tables.upsert-mode-enabled",
      "iceberg.tables.default-id-columns",
      "transforms",
      "transforms.flatten.type",
    ],
  },
  {
    name: "a sink to the Hive Metastore with SCRAM",
    file: "hive.properties",
    text: `name=clicks-hive
connector.class=${APACHE}
topics.regex=clicks-.*
iceberg.tables=web.clicks
iceberg.catalog.type=hive
iceberg.catalog.uri=thrift://metastore:9083
iceberg.catalog.warehouse=s3://lake/warehouse
iceberg.hadoop.fs.s3a.secret.key=hadoop-secret
consumer.override.bootstrap.servers=kafka:9093
consumer.override.security.protocol=SASL_SSL
consumer.override.sasl.mechanism=SCRAM-SHA-512
consumer.override.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="sink" password="scram-secret";
consumer.override.ssl.truststore.location=/etc/kafka/ca.pem
consumer.override.ssl.truststore.type=PEM
consumer.override.auto.offset.reset=latest
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=false
errors.tolerance=all
errors.deadletterqueue.topic.name=clicks-dlq
`,
    expected: [
      {
        "kafka.topic_pattern": "^(?:clicks-.*)$",
        "kafka.auto_offset_reset": "latest",
        "kafka.sasl.mechanism": "scram-sha-512",
        "kafka.sasl.username": "sink",
        "kafka.sasl.password": "value-of-KAFKA_SASL_PASSWORD",
        "kafka.ssl.ca_file": "/etc/kafka/ca.pem",
        "iceberg.catalog_type": "hive",
        "iceberg.hive.metastore_uri": "thrift://metastore:9083",
        "partitioning.partition_strategy": "none",
        "dead_letter.action": "table",
      },
    ],
    secrets: ["scram-secret", "hadoop-secret"],
    unmatched: ["errors.deadletterqueue.topic.name", "iceberg.hadoop.fs.s3a.secret.key"],
  },
  {
    name: "several tables by a field",
    file: "routes.json",
    text: JSON.stringify({
      "connector.class": APACHE,
      topics: "actions",
      "iceberg.tables": "web.clicks,web.views,web.rest",
      "iceberg.tables.route-field": "type",
      "iceberg.table.web.clicks.route-regex": "^(click|double-click)$",
      "iceberg.table.web.views.route-regex": "view",
      "iceberg.table.web.views.partition-by": "hours(ts)",
      "iceberg.table.web.rest.route-regex": "x.*",
      "iceberg.catalog.type": "jdbc",
      "iceberg.catalog.uri": "jdbc:postgresql://db:5432/iceberg",
      "iceberg.catalog.jdbc.user": "ice",
      "iceberg.catalog.jdbc.password": "jdbc-secret",
      "iceberg.catalog.warehouse": "s3://lake/warehouse",
      "value.converter": "org.apache.kafka.connect.json.JsonConverter",
      "value.converter.schemas.enable": "false",
    }),
    expected: [
      {
        "iceberg.route_field": "type",
        "iceberg.routes": { click: "clicks", "double-click": "clicks", view: "views" },
        "iceberg.database_name": "web",
        "iceberg.catalog_type": "sql",
        "iceberg.sql.uri": "postgres://ice:value-of-CATALOG_PASSWORD@db:5432/iceberg",
        "iceberg.sql.name": "iceberg",
      },
    ],
    secrets: ["jdbc-secret"],
    unmatched: ["iceberg.table.web.views.partition-by", "iceberg.table.web.rest.route-regex"],
  },
  {
    name: "Avro with a registry into two tables",
    file: "avro.json",
    text: JSON.stringify({
      name: "payments",
      config: {
        "connector.class": TABULAR,
        topics: "payments",
        "iceberg.tables": "fin.payments,audit.payments",
        "iceberg.tables.auto-create-enabled": "true",
        "iceberg.table.fin.payments.partition-by": "days(paid_at)",
        "iceberg.table.audit.payments.commit-branch": "staging",
        "iceberg.catalog.type": "rest",
        "iceberg.catalog.uri": "http://rest:8181",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a reference of the configuration
        "iceberg.catalog.token": "${env:REST_TOKEN}",
        "value.converter": "io.confluent.connect.avro.AvroConverter",
        "value.converter.schema.registry.url": "https://registry.example.com",
        "value.converter.basic.auth.credentials.source": "USER_INFO",
        "value.converter.basic.auth.user.info": "sr:registry-secret",
      },
    }),
    expected: [
      {
        "source.format": "avro",
        "schema_registry.url": "https://registry.example.com",
        "schema_registry.basic_auth": "value-of-SCHEMA_REGISTRY_BASIC_AUTH",
        "iceberg.rest.credential": "value-of-REST_TOKEN",
        "iceberg.database_name": "fin",
        "iceberg.table_name": "payments",
        "kafka.consumer_group": "kafka-iceberg-payments-fin.payments",
        "partitioning.spec": ["day(paid_at)"],
      },
      {
        "iceberg.database_name": "audit",
        "iceberg.branch": "staging",
        "kafka.consumer_group": "kafka-iceberg-payments-audit.payments",
      },
    ],
    secrets: ["registry-secret"],
    unmatched: [],
  },
];
