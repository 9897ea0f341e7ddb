import type { HearthClient } from "../client/index.ts";
import type { Io } from "./io.ts";
import type { Parts } from "./parts.ts";

export interface OptionSpec {
  /** As in the help: `-f, --follow` or `--cpu <cores>`. */
  readonly flags: string;
  readonly about: string;
  readonly choices?: readonly string[];
  /** Whether it may be given several times; its values come as a list. */
  readonly repeats?: boolean;
  /** Heading in the help; options without one come first. */
  readonly group?: string;
}

export interface ArgumentSpec {
  /** As in the help: `<image>`, `[input]`, `<sandbox...>`. */
  readonly name: string;
  readonly about: string;
}

/** What the user typed. Options by their camel-case name; a repeated argument is an array. */
export interface Invocation {
  readonly args: readonly (string | readonly string[] | undefined)[];
  readonly options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
}

/** Everything a command may use of the world. */
export interface Context {
  readonly io: Io;
  readonly parts: Parts;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Aborts on Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  /** The daemon that `--host` or the environment names. */
  readonly connect: () => HearthClient;
}

/** One verb of the command line. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Further paragraphs of its help. */
  readonly details?: string;
  readonly args?: readonly ArgumentSpec[];
  readonly options?: readonly OptionSpec[];
  readonly examples?: readonly string[];
  /** Whether it deals with signals itself; nothing else then listens for them. */
  readonly isDaemon?: boolean;
  /** @returns the exit code. */
  run(context: Context, invocation: Invocation): Promise<number>;
}

/** Several verbs under one name, such as `config get`. */
export interface CommandGroup {
  readonly name: string;
  readonly summary: string;
  /** What the name alone does, if it does anything; of the same name. */
  readonly own?: Command;
  readonly commands: readonly Command[];
}

/** Wrong use that only the command itself can see. The program prints it and ends with 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export function textArg(value: Invocation["args"][number]): string | undefined {
  return typeof value === "string" ? value : undefined;
}

export function textArgs(value: Invocation["args"][number]): readonly string[] {
  if (value === undefined) return [];
  return typeof value === "string" ? [value] : value;
}

export function textOption({ options }: Invocation, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

/** The values of an option that `repeats`. */
export function listOption({ options }: Invocation, name: string): readonly string[] {
  const value = options[name];
  return Array.isArray(value) ? (value as readonly string[]) : [];
}

/** @throws {@link UsageError} when the text is no number. */
export function numberOption(invocation: Invocation, name: string): number | undefined {
  const text = textOption(invocation, name);
  if (text === undefined) return undefined;
  if (!/^-?\d+(\.\d+)?$/.test(text)) throw new UsageError(`--${name} needs a number, not "${text}"`);
  return Number(text);
}
