import jsdoc from "eslint-plugin-jsdoc";
import tseslint from "typescript-eslint";
import { BANNED_EVERYWHERE, BANNED_IN_CORE } from "./scripts/lint/bans.mjs";
import { disableNeedsReason } from "./scripts/lint/disable-needs-reason.mjs";

const TESTS = ["**/*.test.ts", "test/**/*.ts"];

/** Files whose exported names others build on: ports, the heart's interface, and what the package exports. */
const BOUNDARIES = ["src/core/ports/*.ts", "src/engine/executor.ts", "src/client/*.ts"];

const BOUNDARY_DOCS = {
  publicOnly: true,
  enableFixer: false,
  require: { FunctionDeclaration: true, ClassDeclaration: true },
};

/** Whatever opens or starts a part says what it promises and how it fails, wherever it stands. */
const OPENERS = "ExportNamedDeclaration > FunctionDeclaration[id.name=/^(open|start)[A-Z]/]";

export default tseslint.config(
  { ignores: ["dist/", "out/", "node_modules/", "coverage/", ".cache/", "src/gen/", "**/.*.ts"] },
  {
    linterOptions: { reportUnusedDisableDirectives: "error" },
    plugins: { hearth: { rules: { "disable-needs-reason": disableNeedsReason } } },
    rules: {
      "hearth/disable-needs-reason": "error",
      "no-eval": "error",
      "no-new-func": "error",
      eqeqeq: "error",
    },
  },
  {
    files: ["**/*.ts", "**/*.tsx"],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ["src/core/tsconfig.json", "src/tsconfig.json", "web/tsconfig.json", "test/tsconfig.json"],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      "@typescript-eslint/no-floating-promises": ["error", { ignoreVoid: false }],
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/no-confusing-void-expression": [
        "error",
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      // The index signature is closed in tsconfig, so `["name"]` is how the compiler wants it.
      "@typescript-eslint/dot-notation": "off",
      "@typescript-eslint/no-implied-eval": "error",
      "@typescript-eslint/restrict-plus-operands": ["error", { allowNumberAndString: true }],
      // A port's method may be async for its other implementations, and is declared as a method so that docs read well.
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/unbound-method": "off",
      "no-restricted-syntax": ["error", ...BANNED_EVERYWHERE],
      "no-restricted-imports": [
        "error",
        {
          name: "node:child_process",
          importNames: ["exec", "execSync"],
          message: "No shell: use spawn or execFile.",
        },
        { name: "child_process", message: "Write node:child_process." },
      ],
      // An abort's reason is an ExecutorError by our own rule, and `unknown` to the compiler.
      "@typescript-eslint/prefer-promise-reject-errors": [
        "error",
        { allowThrowingAny: true, allowThrowingUnknown: true },
      ],
      "@typescript-eslint/only-throw-error": [
        "error",
        { allowThrowingAny: true, allowThrowingUnknown: true },
      ],
      complexity: ["error", { max: 12, variant: "modified" }],
      "max-lines": ["error", 400],
      "max-lines-per-function": ["error", { max: 60, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    files: BOUNDARIES,
    ignores: TESTS,
    plugins: { jsdoc },
    rules: {
      "jsdoc/require-jsdoc": ["error", { ...BOUNDARY_DOCS, contexts: ["TSInterfaceDeclaration"] }],
    },
  },
  {
    files: ["src/**/*.ts"],
    ignores: [...BOUNDARIES, ...TESTS],
    plugins: { jsdoc },
    rules: {
      "jsdoc/require-jsdoc": [
        "error",
        { require: { FunctionDeclaration: false }, contexts: [OPENERS], enableFixer: false },
      ],
      "jsdoc/check-tag-names": "error",
    },
  },
  {
    files: ["src/core/**/*.ts"],
    ignores: TESTS,
    rules: { "no-restricted-syntax": ["error", ...BANNED_EVERYWHERE, ...BANNED_IN_CORE] },
  },
  {
    files: TESTS,
    rules: {
      // A describe block is one function; a test says `!` and `as` about values that it has just made.
      "max-lines-per-function": "off",
      "max-lines": ["error", 600],
      complexity: "off",
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
    },
  },
  // Test runners and tools read their settings from a default export.
  {
    files: ["*.config.ts", "test/support/*setup*.ts"],
    rules: { "no-restricted-syntax": "off" },
  },
  { files: ["**/*.mjs", "**/*.cjs"], ...tseslint.configs.disableTypeChecked },
);
