const CONTROL = Array.from({ length: 32 }, (_, i) => `a${String.fromCharCode(i)}b`);
const PUNCTUATION = Array.from(" !\"#$%&'()*,:;<=>?@[\\]^`{|}~\u007f").flatMap((sign) => [sign, `a${sign}b`]);
const DOTS = [".", "..", "...", ".a", "..a", "a..", "a..b", "../a", "a/..", "a/../b", "./a", "a/.", "a/./b"];
const SLASHES = [
  "/",
  "//",
  "/a",
  "a/",
  "a//b",
  "/etc/passwd",
  "//etc/passwd",
  "\\",
  "..\\a",
  "a\\..\\b",
  "C:\\a",
];
const ENCODED = [
  "%2e%2e/a",
  "%2e%2e%2fa",
  "..%2fa",
  "%252e%252e%252f",
  "..%c0%af",
  "..%5ca",
  "%00",
  "a%00.zip",
  "%u002e%u002e",
];
const UNICODE = [
  "\u2024\u2024/a",
  "\uff0e\uff0e/a",
  "\u2025/a",
  "a\u2215b",
  "a\uff0fb",
  "\u202ea",
  "a\u200bb",
  "\ufeffa",
  "caf\u00e9",
  "\u0000",
  "\ud800",
  "\u{1f600}",
];
const SHELL = [
  "-rf",
  "--help",
  "-",
  "$(x)",
  "`x`",
  "a;b",
  "a|b",
  "a&&b",
  "a>b",
  "$HOME",
  "~root",
  "*",
  "a b",
  "a\tb",
  "a\nb",
  "a\r\nSet-Cookie: x",
  "'; drop table jobs; --",
  "{{7*7}}",
  "${jndi:x}",
  "%s%n",
];
const RESERVED = ["CON:", "NUL.", "a:stream", "proc/self/../x", ".hearth-x.part", ".git/config", "_a", "@a"];
const LONG = [
  "a".repeat(129),
  "a".repeat(4096),
  "a/".repeat(2048),
  Array.from({ length: 33 }, () => "a").join("/"),
  `${"a".repeat(128)}/`.repeat(9),
];

/** H9: what must be refused by its form, before a path is built of it. Each is wrong as a name and as a path of names. */
export const UNSAFE_NAMES: readonly string[] = [
  ...new Set([
    "",
    ...CONTROL,
    ...PUNCTUATION,
    ...DOTS.filter((name) => name !== "a"),
    ...SLASHES,
    ...ENCODED,
    ...UNICODE,
    ...SHELL,
    ...RESERVED.filter((name) => name !== "NUL."),
    ...LONG,
    ...["+a", "-a", "_/a", "a/-b", "a/_b", "a/.b/c", "a/ b", "a /b", "\u0430\u0431", "\u4e2d\u6587"],
    ...DOTS.map((name) => `users/${name}/x`).filter((name) => name !== "users/a/x"),
    ...SHELL.map((name) => `users/${name}/x`),
  ]),
];
