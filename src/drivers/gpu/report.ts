import * as z from "zod";

const cardSchema = z.object({
  /** `GPU-…`. */
  id: z.string().min(1),
  index: z.int().nonnegative(),
  model: z.string(),
  /** As `0000:3b:00.0`; empty if unknown. */
  pciBusId: z.string(),
  /** The number in `/dev/nvidia<n>`. */
  minor: z.int().nonnegative().optional(),
  memoryBytes: z.number().nonnegative(),
  memoryUsedBytes: z.number().nonnegative(),
  computePercent: z.number().min(0).max(100),
  pids: z.array(z.int().positive()),
  /** Why it cannot be used now; it may get well again. */
  fault: z.string().optional(),
  /** What happened to it since the last report and does not pass by itself. */
  broke: z.string().optional(),
});

/** One card as one look at the driver shows it. */
export type Card = z.output<typeof cardSchema>;

const cardsSchema = z.object({
  type: z.literal("cards"),
  driver: z.string(),
  cards: z.array(cardSchema),
  /** Places at which the driver has a card that it cannot say anything about. */
  unreadable: z.array(z.object({ index: z.int().nonnegative(), reason: z.string() })),
});

/** All cards at one moment. */
export type CardsReport = Omit<z.output<typeof cardsSchema>, "type">;

const messageSchema = z.discriminatedUnion("type", [
  cardsSchema,
  /** It cannot begin: no library, or the library refuses. */
  z.object({ type: z.literal("unavailable"), reason: z.string() }),
  /** It had begun and cannot go on; a fresh start may help. */
  z.object({ type: z.literal("failed"), reason: z.string() }),
]);

/** One line of what the reader says. */
export type ReaderMessage = z.output<typeof messageSchema>;

/** @returns `undefined` for a line that is none of ours. */
export function parseReaderMessage(line: string): ReaderMessage | undefined {
  try {
    return messageSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
