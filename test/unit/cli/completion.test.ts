/** `completion`: what a shell offers is what the program takes. */
import { describe, expect, test } from "bun:test";
import { EXIT } from "#base/errors.ts";
import { COMMANDS, SHELLS } from "#cli/commands.ts";
import { cli } from "./place.ts";

async function script(shell: string): Promise<string> {
  const { code, out } = await cli(["completion", shell]);
  expect(code).toBe(EXIT.ok);
  return out;
}

describe("bash", () => {
  /** What bash offers for the last of these words. */
  async function offered(words: readonly string[]): Promise<readonly string[]> {
    const quoted = ["kafka-iceberg", ...words].map((each) => `'${each}'`).join(" ");
    const ask = `COMP_WORDS=(${quoted}); COMP_CWORD=${words.length}; _kafka_iceberg; echo "\${COMPREPLY[*]}"`;
    const child = Bun.spawn(["bash", "-c", `${await script("bash")}\n${ask}`], { stderr: "pipe" });
    expect(await new Response(child.stderr).text()).toBe("");
    return (await new Response(child.stdout).text()).trim().split(" ");
  }

  test("offers all commands, and those that begin so", async () => {
    const names = COMMANDS.map(({ name }) => name);
    expect(await offered([""])).toEqual([...names, "--config", "--help", "--version"]);
    expect(await offered(["ma"])).toEqual(["maintenance"]);
  });

  test("offers a command's own words and flags, also behind other flags", async () => {
    expect(await offered(["maintenance", "ex"])).toEqual(["expire"]);
    expect(await offered(["run", "--unt"])).toEqual(["--until-end"]);
    expect(await offered(["query", "--format", ""])).toEqual([
      ...["table", "json", "csv", "arrow"],
    ]);
    expect(await offered(["run", "--config", "c.toml", "--unt"])).toEqual(["--until-end"]);
  });

  test("leaves the names of files to the shell", async () => {
    expect(await offered(["run", "--config", ""])).toEqual([""]);
  });
});

test("every shell's script names every command and flag", async () => {
  for (const shell of SHELLS) {
    const text = await script(shell);
    for (const { name, arguments: specs } of COMMANDS) {
      expect(text).toContain(name);
      for (const { kind, name: flag } of specs)
        if (kind !== "positional") expect(text).toContain(flag);
    }
  }
});

test("another shell is refused, and which there are is said", async () => {
  const { code, err } = await cli(["completion", "ksh"]);
  expect(code).toBe(EXIT.usage);
  expect(err).toBe("There is no completion for ksh: it is one of bash, zsh, fish\n");
});
