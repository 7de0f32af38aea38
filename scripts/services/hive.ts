/**
 * A real Hive Metastore on the loopback address, its database a PostgreSQL server that is started with it.
 *
 * Not on Derby, its own default: there `lock` hangs for good once three callers wait for one table (4.0.0), and 4.0.1
 * cannot compare parameters. The schema comes from schematool: with the one that the metastore makes by itself, `lock`
 * fails. External tables may not lie below the managed warehouse.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type HiveVersion, hiveJars } from "./hiveJars.ts";
import { type PostgresService, startPostgres } from "./postgres.ts";
import { accepts, freePort, run, type Service, startService, temporaryFolder } from "./process.ts";

/** A running metastore. */
export interface Hive {
  readonly uri: string;
  readonly port: number;
  readonly version: HiveVersion;
  /** `file://...`: where external tables may lie. */
  readonly warehouse: string;
  readonly logFile: string;
  stop(): Promise<void>;
  /** SIGKILL; tables stay. */
  kill(): Promise<void>;
  /** Stops it if it runs, and starts it again on the same port and tables. */
  restart(): Promise<void>;
}

/** Options of {@link startHive}. */
export interface HiveOptions {
  readonly version?: HiveVersion;
  /** SASL PLAIN with this one login; default: none is asked for. */
  readonly login?: { readonly user: string; readonly password: string };
}

/** Starts a metastore and waits until it answers (about 10 s). */
export async function startHive({ version = "4.0.0", login }: HiveOptions = {}): Promise<Hive> {
  const { classPath, home } = await hiveJars(version);
  const folder = await temporaryFolder("hive");
  const postgres = await startPostgres();
  await postgres.createDatabase("metastore");
  const port = freePort();
  const warehouse = join(folder, "warehouse");
  for (const each of ["conf", "warehouse/managed", "warehouse/external"]) {
    mkdirSync(join(folder, each), { recursive: true });
  }
  const settings = settingsOf(folder, port, postgres, login);
  const property = ([name, value]: [string, string]): string =>
    `<property><name>${name}</name><value>${value}</value></property>`;
  const site = Object.entries(settings).map(property).join("\n");
  const conf = join(folder, "conf");
  writeFileSync(join(conf, "metastore-site.xml"), `<configuration>\n${site}\n</configuration>\n`);
  writeFileSync(join(conf, "log4j2.properties"), LOG4J);
  const java = [
    "java",
    "-Xmx384m",
    "-XX:TieredStopAtLevel=1",
    "--add-opens=java.base/java.net=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    `-Dlog4j2.configurationFile=${conf}/log4j2.properties`,
    "-cp",
    `${conf}:${classPath}`,
  ];
  const main = "org.apache.hadoop.hive.metastore";
  const env = { METASTORE_HOME: home };
  const schema = [
    `${main}.tools.schematool.MetastoreSchemaTool`,
    "-initSchema",
    "-dbType",
    "postgres",
  ];
  await run([...java, ...schema], { cwd: folder, env });
  const logFile = join(folder, "hive.log");
  const start = (): Promise<Service> =>
    startService({
      name: `Hive Metastore ${version}`,
      command: [...java, `${main}.HiveMetaStore`, "-p", String(port)],
      env,
      cwd: folder,
      logFile,
      startTimeoutMs: 120_000,
      ready: () => accepts(port),
    });
  let service = await start();
  let running = true;
  const end = async (how: (now: Service) => Promise<void>): Promise<void> => {
    if (running) await how(service);
    running = false;
  };
  return {
    uri: `thrift://127.0.0.1:${port}`,
    port,
    version,
    warehouse: `file://${warehouse}/external`,
    logFile,
    stop: async () => {
      await end((now) => now.stop());
      await postgres.stop();
    },
    kill: () => end((now) => now.kill()),
    restart: async () => {
      await end((now) => now.stop());
      service = await start();
      running = true;
    },
  };
}

function settingsOf(
  folder: string,
  port: number,
  postgres: PostgresService,
  login: HiveOptions["login"],
): Record<string, string> {
  const warehouse = join(folder, "warehouse");
  const sasl = {
    "metastore.authentication": "CONFIG",
    "metastore.execute.setugi": "false",
    "hive.metastore.authentication.config.username": login?.user ?? "",
    "hive.metastore.authentication.config.password": login?.password ?? "",
  };
  return {
    "metastore.thrift.bind.host": "127.0.0.1",
    "metastore.thrift.port": String(port),
    "metastore.thrift.uris": `thrift://127.0.0.1:${port}`,
    "metastore.warehouse.dir": `file://${warehouse}/managed`,
    "metastore.warehouse.external.dir": `file://${warehouse}/external`,
    "javax.jdo.option.ConnectionURL": `jdbc:postgresql://127.0.0.1:${postgres.port}/metastore`,
    "javax.jdo.option.ConnectionDriverName": "org.postgresql.Driver",
    "javax.jdo.option.ConnectionUserName": postgres.user,
    "javax.jdo.option.ConnectionPassword": postgres.password,
    "metastore.schema.verification": "false",
    "datanucleus.schema.autoCreateAll": "false",
    "metastore.expression.proxy":
      "org.apache.hadoop.hive.metastore.DefaultPartitionExpressionProxy",
    "metastore.task.threads.always": "org.apache.hadoop.hive.metastore.events.EventCleanerTask",
    "metastore.housekeeping.threads.on": "false",
    "metastore.compactor.initiator.on": "false",
    // It repeats calls that can never succeed, ten times, each after this.
    "metastore.hmshandler.retry.interval": "20ms",
    "hadoop.tmp.dir": join(folder, "tmp"),
    ...(login === undefined ? {} : sasl),
  };
}

const LOG4J = `rootLogger.level = warn
rootLogger.appenderRef.stdout.ref = STDOUT
appender.console.type = Console
appender.console.name = STDOUT
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1}: %m%n
`;
