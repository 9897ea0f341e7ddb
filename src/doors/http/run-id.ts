import { randomBytes } from "node:crypto";
import { asId, type RunId } from "../../core/index.ts";

const DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";
const TIME_LENGTH = 10;
const COUNT_LENGTH = 5;
const COUNT_END = 32 ** COUNT_LENGTH;

/** One for each life of the process: eleven characters, 55 bits. */
const life = Array.from(randomBytes(11), (byte) => DIGITS[byte & 31]).join("");

let lastMs = 0;
let lastTime = "";
let count = 0;

/**
 * Names a run: 26 lower-case characters that sort by the time they were made, then by the order in which they were. Cheap
 * enough for every call: chance is used once for each life, what differs between two names is time and a counter.
 */
export function nextRunId(): RunId {
  const nowMs = Date.now();
  if (nowMs > lastMs) {
    lastMs = nowMs;
    lastTime = digits(nowMs, TIME_LENGTH);
    count = 0;
  } else {
    count += 1;
    // More than 33 million in one millisecond do not happen; if the clock stands still for a day, borrow from the future.
    if (count === COUNT_END) {
      lastMs += 1;
      lastTime = digits(lastMs, TIME_LENGTH);
      count = 0;
    }
  }
  return asId<"run">(lastTime + (count < 32 ? `0000${DIGITS[count]}` : digits(count, COUNT_LENGTH)) + life);
}

function digits(value: number, length: number): string {
  let text = "";
  for (let rest = value; text.length < length; rest = Math.floor(rest / 32)) text = DIGITS[rest % 32] + text;
  return text;
}
