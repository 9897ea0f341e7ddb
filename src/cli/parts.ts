/** What only the process entry can give: the command line itself knows neither the daemon nor its settings' schema. */
export interface Parts {
  readonly version: string;
  /** Runs the daemon until it has stopped. @returns the exit code. */
  serve(input: SettingsInput): Promise<number>;
  /** Runs the web API until it has stopped. @returns the exit code. */
  api(input: SettingsInput): Promise<number>;
  settings(): Promise<SettingsTool>;
  /** Looks at this host; needs no daemon. */
  diagnose(input: SettingsInput, signal: AbortSignal): Promise<readonly Finding[]>;
  /** The OpenAPI document of this version. */
  openapi(): Promise<unknown>;
}

export interface SettingsInput {
  readonly configFile?: string | undefined;
  /** Whose words the file is in. Default: ours. */
  readonly dialect?: "indexify" | undefined;
  /** Text by setting key. */
  readonly flags: Readonly<Record<string, string>>;
}

/** One setting as a flag of `serve`. */
export interface SettingFlag {
  readonly key: string;
  readonly flag: string;
  readonly about: string;
  /** What the help calls its value. */
  readonly value: string;
  /** Whether the flag alone means true. */
  readonly isSwitch: boolean;
  readonly section: string;
}

export interface SettingEntry {
  readonly key: string;
  readonly value: string | number | boolean | null | readonly (string | number | boolean | null)[];
  readonly origin: string;
  readonly unit?: string;
  readonly description: string;
  readonly isLive: boolean;
}

export interface SettingsTool {
  readonly flags: readonly SettingFlag[];
  /** The files that are tried, in order. */
  readonly candidates: readonly string[];
  /** What a daemon started here and now would use. */
  read(input: SettingsInput):
    | {
        readonly file: string | undefined;
        readonly entries: readonly SettingEntry[];
        readonly warnings: readonly string[];
      }
    | { readonly faults: readonly string[] };
}

/** One thing that `doctor` found. */
export interface Finding {
  readonly area: "isolate" | "measure" | "book" | "reach";
  /** `limited`: it works, with less than there could be. `missing`: it does not; other parts may. `broken`: no daemon can run. */
  readonly state: "ok" | "limited" | "missing" | "broken";
  /** One sentence in plain words. */
  readonly text: string;
  /** What would make it better. */
  readonly advice?: string;
}
