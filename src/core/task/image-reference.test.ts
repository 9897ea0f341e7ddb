import { expect, test } from "vitest";
import { formatImageReference, parseImageReference } from "./image-reference.ts";

const HEX = "0123456789abcdef".repeat(4);

test.each([
  ["busybox", "busybox:latest"],
  ["busybox:1.36", "busybox:1.36"],
  ["library/busybox", "busybox:latest"],
  ["docker.io/library/busybox:1", "busybox:1"],
  ["account/name:tag", "account/name:tag"],
  ["localhost/x", "localhost/x:latest"],
  ["host:5000/x:1", "host:5000/x:1"],
  ["host:5000/x", "host:5000/x:latest"],
  ["registry.example/a/b/c:v1", "registry.example/a/b/c:v1"],
  ["[fd00::1]:5000/x:1", "[fd00::1]:5000/x:1"],
  [`x@sha256:${HEX}`, `x@sha256:${HEX}`],
  [`x:1@sha256:${HEX}`, `x@sha256:${HEX}`],
  [`sha256:${HEX}`, `sha256:${HEX}`],
  [HEX, `sha256:${HEX}`],
  ["a".repeat(128), `${"a".repeat(128)}:latest`],
  ["a__b-c.d---e", "a__b-c.d---e:latest"],
  ["x:_", "x:_"],
])("M31: %s is legal and is looked up as %s", (text, wanted) => {
  expect(formatImageReference(parseImageReference(text))).toBe(wanted);
});

test.each([
  ..."_ . - _x .x -x x_ x. x- a//b /a a/ a:b:c x:.a x:-a A a___b a..b x@sha256:12 x@ @ : x: a/B y:".split(
    " ",
  ),
  "",
  "a b",
  "a\nb",
  "../../etc/passwd",
  "x?y=1",
  "x#y",
  "x%2fy",
  "ü",
  `x:${"t".repeat(129)}`,
  "a".repeat(256),
  "a/".repeat(4000),
  "host:port/x",
  "-a.host/x:1",
])("M31: %j is refused before anything reaches an engine", (text) => {
  expect(() => parseImageReference(text)).toThrow(expect.objectContaining({ code: "IMAGE_NAME_INVALID" }));
});

test("two accounts with one image name stay two repositories", () => {
  expect(parseImageReference("a/foo:1")).toMatchObject({ repository: "a/foo" });
  expect(parseImageReference("b/foo:1")).toMatchObject({ repository: "b/foo" });
});
