/**
 * The command line: which command runs, and how wrong words are told.
 */
import { describe, expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import { cli, makePlace } from "./place.ts";

describe("the command line", () => {
  test("without words shows the help and exits 2", async () => {
    const { code, err } = await cli([]);
    expect(code).toBe(2);
    expect(err).toContain("Usage: kafka-iceberg [COMMAND] [FLAGS]");
  });

  test("shows help of the program and of a command", async () => {
    expect((await cli(["--help"])).out).toContain("Exit codes:");
    expect((await cli(["help", "offsets"])).out).toContain("--accept-topic TOPIC");
    expect((await cli(["log", "--help"])).out).toContain("--follow");
  });

  test("takes -h for --help, wherever it stands", async () => {
    expect((await cli(["-h"])).out).toBe((await cli(["--help"])).out);
    for (const words of ["log -h", "-h log", "--config c.toml log -h", "log --type X --help"]) {
      const { code, out } = await cli(words.split(" "));
      expect(code).toBe(0);
      expect(out).toContain("Usage: kafka-iceberg");
    }
    expect((await cli(["--config", "c.toml", "log", "-h"])).out).toContain("--follow");
  });

  test("takes flags before the command as well as behind it", async () => {
    const { config } = await makePlace();
    const behind = await cli(["files", "events", "--config", config, "--json"]);
    for (const words of [
      ["--config", config, "files", "events", "--json"],
      [`--config=${config}`, "--json", "files", "events"],
      ["--set", "kafka.client_id=files", "--config", config, "files", "--json", "events"],
    ]) {
      expect(await cli(words)).toEqual(behind);
    }
    const seen: unknown[] = [];
    const run = async (_: unknown, __: unknown, options: object) => {
      seen.push(options);
      return 0 as const;
    };
    for (const words of ["run --until-end", "--until-end run", "--until-end"]) {
      await cli([...words.split(" "), "--config", config], { run });
      await cli(["--config", config, ...words.split(" ")], { run });
    }
    expect(seen).toHaveLength(6);
    for (const options of seen) expect(options).toMatchObject({ untilEnd: true });
    expect((await cli(["--config", config, "chek"])).err).toContain("did you mean check?");
  });

  test("shows its version", async () => {
    expect(await cli(["--version"])).toEqual({
      code: 0,
      out: `kafka-iceberg 1.2.3 (abc, Bun ${Bun.version})\n`,
      err: "",
    });
  });

  const wrong: readonly (readonly [words: string, sentence: string])[] = [
    ["chek", "There is no command chek; did you mean check?"],
    ["qqqqqqqqqqq", "There is no command qqqqqqqqqqq; see kafka-iceberg --help"],
    ["--confg x", "There is no flag --confg; did you mean --config?"],
    ["run -c x", "There is no flag -c"],
    ["run --config", "--config wants FILE"],
    ["run --until-end=yes", "--until-end takes no value"],
    ["snapshots", "TABLE is missing"],
    ["snapshots a b", "There is one word too many: b"],
    ["log --type Nothing --config C", "--type Nothing: must be one of OffsetCommit"],
    [
      "log --since soon --config C",
      "--since soon: must be a time (2026-01-08T00:00:00Z) or an age",
    ],
    ["offsets events --from 5 --config C", "--from goes with --accept-topic"],
    [
      "offsets events --set events:x=5 --config C",
      "--set events:x=5: wants TOPIC:PARTITION=OFFSET",
    ],
    ["offsets events --set my.topic:x=5 --config C", "--set my.topic:x=5: wants TOPIC:PARTITION"],
    ["offsets events --set e:0=5 --set e:00=4 --config C", "--set e:00=4: e:0 is set twice"],
    [
      "offsets events --set e:0=5 --accept-topic e --config C",
      "--accept-topic sets all partitions",
    ],
    ["files events --snapshot 5 --config C", "The table has no snapshot 5"],
  ];
  for (const [words, sentence] of wrong) {
    test(`tells what is wrong with: ${words}`, async () => {
      const { config } = await makePlace();
      const { code, out, err } = await cli(words.replace(/\bC$/, config).split(" "));
      expect(err).toStartWith(sentence);
      expect({ code, out }).toEqual({ code: 2, out: "" });
    });
  }

  test("runs when only flags are given, with the flags' values", async () => {
    const { config } = await makePlace();
    const seen: unknown[] = [];
    const run = async (
      loaded: { pipelines: readonly { values: object }[] },
      _: unknown,
      options: object,
    ) => {
      seen.push(loaded.pipelines[0]?.values, options);
      return 4 as const;
    };
    const words = ["--config", config, "--kafka-topic=other", "--set", "iceberg.branch=dev"];
    expect((await cli([...words, "--set", "kafka.client_id=c"], { run })).code).toBe(4);
    expect(seen[0]).toMatchObject({
      "kafka.topic": "other",
      "iceberg.branch": "dev",
      "kafka.client_id": "c",
    });
    expect(seen[1]).toMatchObject({ untilEnd: false, version: "1.2.3", commit: "abc" });
    await cli(["run", "--config", config, "--until-end"], { run });
    expect(seen[3]).toMatchObject({ untilEnd: true });
  });

  test("refuses a wrong configuration before anything runs, every problem on its line", async () => {
    const { config } = await makePlace("[kafka]\ntopik = 1\n[source]\nformat = 'avro'\n");
    const { code, err } = await cli(["--config", config]);
    expect(code).toBe(2);
    expect(err.trim().split("\n")).toHaveLength(3);
    expect(err).toContain("config.toml:2: kafka.topik: unknown key; did you mean kafka.topic?");
  });

  test("turns an error into one sentence and its exit code", async () => {
    const { config } = await makePlace();
    const run = () => Promise.reject(fail("kafka_unreachable", "Kafka is away"));
    const { code, err } = await cli(["run", "--config", config], { run });
    expect({ code, err }).toEqual({ code: 3, err: "Kafka is away\n" });
  });

  test("shows where an error comes from that must not happen", async () => {
    const { config } = await makePlace();
    const { code, err } = await cli(["run", "--config", config]);
    expect(code).toBe(1);
    expect(err).toContain("TypeError: not here");
  });
});
