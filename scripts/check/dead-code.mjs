#!/usr/bin/env node
/**
 * Finds what nobody uses: files that no entry point reaches, and exported names that are neither imported anywhere nor used in
 * their own file. Our own check, because knip's parser cannot be installed from the lock file (`docs/adr/0001-one-package.md`).
 */
import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { filesUnder } from "./files-under.mjs";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Where execution or another package begins; everything they export is wanted. */
const isEntry = (path) =>
  /^(src\/(main|client\/index|drivers\/gpu\/reader\/main|drivers\/records\/chain\/thread\/main)\.ts|web\/main\.tsx|scripts\/.*|test\/.*|[^/]+\.config\.(ts|mjs)|.*\.test\.ts|.*\.d\.ts)$/.test(
    path,
  );

const modules = new Map();
for (const path of ["src", "web", "test", "scripts"].flatMap((folder) =>
  filesUnder(join(root, folder), /\.(tsx?|mjs)$/),
)) {
  modules.set(path, read(path));
}

const used = new Set();
const reached = new Set();
const queue = [...modules.keys()].filter((path) => isEntry(relative(root, path)));
for (const path of queue) {
  if (reached.has(path)) continue;
  reached.add(path);
  for (const { from, name } of modules.get(path)?.imports ?? []) {
    if (!modules.has(from)) continue;
    use(from, name);
    queue.push(from);
  }
}

const findings = [];
for (const [path, module] of modules) {
  const name = relative(root, path);
  if (isEntry(name)) continue;
  if (!reached.has(path)) {
    findings.push(`${name}: no entry point reaches this file`);
    continue;
  }
  for (const exported of module.exports) {
    if (used.has(`${path}#${exported}`) || module.localUses.has(exported)) continue;
    findings.push(`${name}: nothing uses the export ${exported}`);
  }
}
for (const finding of findings) console.error(finding);
console.error(`dead code: ${modules.size} files, ${findings.length} findings`);
process.exitCode = findings.length === 0 ? 0 : 1;

/** Marks an exported name as used, through any chain of re-exports. */
function use(path, name) {
  const key = `${path}#${name}`;
  const module = modules.get(path);
  if (used.has(key) || module === undefined) return;
  used.add(key);
  if (name === "*") for (const exported of module.exports) use(path, exported);
  const source = module.reexports.get(name);
  if (source !== undefined) use(source.from, source.name);
}

/** What a file exports, imports from our own files, hands on, and mentions besides its own declarations. */
function read(path) {
  const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.ESNext, true);
  const module = { exports: new Set(), imports: [], reexports: new Map(), localUses: new Set() };
  const own = (specifier) =>
    specifier.text.startsWith(".") ? resolve(dirname(path), specifier.text) : undefined;
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement)) readImport(statement, module, own(statement.moduleSpecifier));
    else if (ts.isExportDeclaration(statement)) readExport(statement, module, own);
    else for (const name of declaredNames(statement)) module.exports.add(name);
  }
  const visit = (node) => {
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [target] = node.arguments;
      if (target !== undefined && ts.isStringLiteralLike(target)) {
        module.imports.push({ from: resolve(dirname(path), target.text), name: "*" });
      }
    }
    if (ts.isIdentifier(node) && !isDeclaredName(node)) module.localUses.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return module;
}

function readImport(statement, module, from) {
  if (from === undefined) return;
  const clause = statement.importClause;
  const bindings = clause?.namedBindings;
  if (clause === undefined || (bindings && ts.isNamespaceImport(bindings)))
    module.imports.push({ from, name: "*" });
  if (clause?.name) module.imports.push({ from, name: "default" });
  if (bindings && ts.isNamedImports(bindings)) {
    for (const element of bindings.elements) {
      module.imports.push({ from, name: (element.propertyName ?? element.name).text });
    }
  }
}

function readExport(statement, module, own) {
  const from = statement.moduleSpecifier && own(statement.moduleSpecifier);
  if (statement.exportClause === undefined || !ts.isNamedExports(statement.exportClause)) return;
  for (const element of statement.exportClause.elements) {
    const name = (element.propertyName ?? element.name).text;
    // A folder's index names the types of its interface whether or not somebody has had to write them down yet.
    if (!statement.isTypeOnly) module.exports.add(element.name.text);
    if (from === undefined) continue;
    module.reexports.set(element.name.text, { from, name });
    // A file is reached through whoever hands its names on.
    module.imports.push({ from, name: undefined });
  }
}

function declaredNames(statement) {
  const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
  if (!modifiers.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword)) return [];
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.flatMap(({ name }) =>
      ts.isIdentifier(name) ? [name.text] : [],
    );
  }
  return statement.name ? [statement.name.text] : [];
}

function isDeclaredName(node) {
  const { parent } = node;
  return (
    (ts.isExportSpecifier(parent) && parent.parent.parent.moduleSpecifier !== undefined) ||
    ("name" in parent && parent.name === node && !ts.isPropertyAccessExpression(parent))
  );
}
