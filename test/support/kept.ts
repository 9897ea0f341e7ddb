import { afterEach } from "vitest";

const opened: AsyncDisposable[] = [];

/** Closes a part of a test after that test, the last one first. A file that imports this has its own list. */
export function kept<T extends AsyncDisposable>(part: T): T {
  opened.push(part);
  return part;
}

afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part[Symbol.asyncDispose]();
});
