export interface Step {
  readonly name: string;
  /** Of a suite: its runs, each with the test files that it takes. */
  readonly lanes?: readonly { readonly files: readonly string[] }[];
}

export const root: string;
export const STEPS: readonly Step[];
