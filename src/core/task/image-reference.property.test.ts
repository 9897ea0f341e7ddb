import fc from "fast-check";
import { expect, test } from "vitest";
import { ExecutorError } from "../errors.ts";
import { formatImageReference, parseImageReference } from "./image-reference.ts";

const nearReference = fc.oneof(
  fc.string({ maxLength: 300 }),
  fc.string({ unit: fc.constantFrom(..."abcA09._-/:@[]% \n".split("")), maxLength: 60 }),
  fc
    .tuple(
      fc.constantFrom("a", "h:5000", "a.b", "localhost"),
      fc.constantFrom("x", "x/y"),
      fc.string({ maxLength: 8 }),
    )
    .map(([domain, path, tag]) => `${domain}/${path}:${tag}`),
);

test("any text is either a reference that can stand in a URL, or IMAGE_NAME_INVALID", () => {
  fc.assert(
    fc.property(nearReference, (text) => {
      try {
        expect(formatImageReference(parseImageReference(text))).toMatch(/^[A-Za-z0-9_.\-/:@+[\]]+$/);
      } catch (error) {
        expect(error).toBeInstanceOf(ExecutorError);
        expect((error as ExecutorError).code).toBe("IMAGE_NAME_INVALID");
      }
    }),
  );
});

test("the form that engines look up reads back as the same image", () => {
  fc.assert(
    fc.property(nearReference, (text) => {
      const first = attempt(text);
      if (first === undefined) return;
      const again = parseImageReference(formatImageReference(first));
      expect(formatImageReference(again)).toBe(formatImageReference(first));
    }),
  );
});

function attempt(text: string): ReturnType<typeof parseImageReference> | undefined {
  try {
    return parseImageReference(text);
  } catch {
    return undefined;
  }
}
