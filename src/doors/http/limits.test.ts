import { expect, test } from "vitest";
import { DEFAULT_HTTP_LIMITS, withinFiles } from "./limits.ts";

test("A11: connections never take the files that the daemon itself needs", () => {
  expect(withinFiles(DEFAULT_HTTP_LIMITS, undefined)).toEqual(DEFAULT_HTTP_LIMITS);
  expect(withinFiles(DEFAULT_HTTP_LIMITS, 1_048_576)).toEqual(DEFAULT_HTTP_LIMITS);
  expect(withinFiles(DEFAULT_HTTP_LIMITS, 1024)).toMatchObject({ connections: 480, connectionsPerPeer: 480 });
  expect(withinFiles(DEFAULT_HTTP_LIMITS, 128)).toMatchObject({ connections: 32, connectionsPerPeer: 32 });
  expect(withinFiles(DEFAULT_HTTP_LIMITS, 20)).toMatchObject({ connections: 8, connectionsPerPeer: 8 });
});
