import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SpawnReport, SpawnRequest } from "./wire.ts";
import { encodeRequest, ReportReader } from "./wire.ts";

const REQUEST: SpawnRequest = {
  argv: ["/bin/true"],
  folder: "/",
  joinFiles: [],
  network: { type: "host" },
  openFiles: 1024,
  oomScore: 300,
  users: "",
};
const text = fc.string({ unit: "grapheme" }).filter((value) => !value.includes("\0"));

describe("a request", () => {
  test("says every word in its order, whatever is in it, in whole numbers of four bytes", () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1 }), fc.array(text), (argv, joinFiles) => {
        const frame = encodeRequest(7, { ...REQUEST, argv, joinFiles });
        expect([frame.readUInt32LE(0), frame.length % 4, frame.readUInt32LE(4)]).toEqual([
          frame.length - 4,
          0,
          7,
        ]);
        const fields = frame.subarray(8).toString("utf8").split("\0");
        const of = (letter: string): string[] =>
          fields.filter((field) => field.startsWith(letter)).map((field) => field.slice(1));
        expect(of("A")).toEqual(argv);
        expect(of("J")).toEqual(joinFiles);
        expect(frame.at(-1)).toBe(0);
      }),
    );
  });

  test("with a zero in a word, or longer than the program takes, is refused", () => {
    for (const argv of [["a\0Jb"], ["x".repeat(1_048_576)]])
      expect(() => encodeRequest(1, { ...REQUEST, argv })).toThrow(
        expect.objectContaining({ code: "SANDBOX_START_FAILED" }),
      );
  });
});

test("reports are read alike in whatever pieces they come, and output comes whole", () => {
  const number = fc.nat({ max: 0xffff_ffff });
  const plain = fc.record({ kind: fc.constantFrom(1, 2, 3, 4), subject: number, value: number });
  const output = fc.record({
    kind: fc.constantFrom(5, 6, 7),
    subject: fc.nat({ max: 3 }),
    bytes: fc.uint8Array({ maxLength: 40 }),
  });
  fc.assert(
    fc.property(fc.array(fc.oneof(plain, output)), fc.array(fc.nat({ max: 20 })), (reports, cuts) => {
      const bytes = Buffer.concat(
        reports.flatMap((one) => {
          const value = "bytes" in one ? one.bytes.length : one.value;
          const head = Buffer.from(Uint32Array.of(one.kind, one.subject, value).buffer);
          return "bytes" in one ? [head, one.bytes] : [head];
        }),
      );
      const inPieces = new ReportReader();
      const found: SpawnReport[] = [];
      let at = 0;
      for (const cut of [...cuts, bytes.length]) {
        found.push(...inPieces.read(bytes.subarray(at, at + cut)));
        at += cut;
      }
      expect(joined(found)).toEqual(joined(new ReportReader().read(bytes)));
      expect(joined(found)).toEqual(joined(reports.map(toReport)));
    }),
  );
});

type Sent =
  | { readonly kind: number; readonly subject: number; readonly value: number }
  | { readonly kind: number; readonly subject: number; readonly bytes: Uint8Array };

function toReport(sent: Sent): SpawnReport {
  const { kind, subject } = sent;
  if ("bytes" in sent) {
    const which = { id: subject, kind: (["o", "e", "s"] as const)[kind - 5] ?? "o" };
    return sent.bytes.length === 0
      ? { type: "closed", ...which }
      : { type: "output", ...which, bytes: Buffer.from(sent.bytes) };
  }
  if (kind === 1) return { type: "started", id: subject, pid: sent.value };
  if (kind === 2) return { type: "failed", id: subject, errno: sent.value };
  if (kind === 3) return { type: "ended", pid: subject, status: sent.value };
  return { type: "begun", id: subject };
}

/** Neighbouring pieces of one stream's output as one. */
function joined(reports: readonly SpawnReport[]): readonly unknown[] {
  const all: (Exclude<SpawnReport, { type: "output" }> | { type: "output"; which: string; text: string })[] =
    [];
  for (const report of reports) {
    const last = all.at(-1);
    if (report.type !== "output") all.push(report);
    else {
      const which = `${report.kind}${report.id}`;
      const text = report.bytes.toString("hex");
      if (last?.type === "output" && last.which === which) last.text += text;
      else all.push({ type: "output", which, text });
    }
  }
  return all;
}
