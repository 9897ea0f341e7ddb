/** What no file may do, as selectors for `no-restricted-syntax`; the message says what to do instead. */
export const BANNED_EVERYWHERE = [
  {
    selector: "CallExpression[callee.name='setInterval']",
    message: "A loop is a spawned child that awaits its own sleep.",
  },
  {
    selector:
      "CallExpression[callee.name=/^(spawn|spawnSync|execFile|execFileSync)$/] Property[key.name='shell']:not([value.value=false])",
    message: "No shell: pass an argument array.",
  },
  {
    selector:
      "CallExpression[callee.property.name='catch'] > ArrowFunctionExpression[params.length=0][body.type='BlockStatement'][body.body.length=0]",
    message: "An error that is dropped needs a comment that says why: give the callback a body with one.",
  },
  {
    selector: "TSEnumDeclaration, TSModuleDeclaration[kind='namespace']",
    message: "Use a union of literals, or a module.",
  },
  {
    selector: "MemberExpression[object.name='AbortSignal'][property.name='any']",
    message:
      "On Node 20 a timeout that only it holds is collected and never fires: use withDeadline or eitherSignal.",
  },
  { selector: "ExportDefaultDeclaration", message: "Named exports only." },
  { selector: "ExportAllDeclaration", message: "An index lists its names." },
];

/** The core gets time and chance as values, and says nothing by itself. */
export const BANNED_IN_CORE = [
  {
    selector: "MemberExpression[object.name='Date'][property.name='now']",
    message: "Time comes in as a value.",
  },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: "Time comes in as a value." },
  {
    selector: "MemberExpression[object.name='Math'][property.name='random']",
    message: "Chance comes in as a value.",
  },
  { selector: "MemberExpression[object.name='performance']", message: "Time comes in as a value." },
  {
    selector: "MemberExpression[object.name='console']",
    message: "The core returns data; it does not print.",
  },
];
