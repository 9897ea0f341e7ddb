import { ExecutorError } from "../errors.ts";

/** An image as a caller names it, checked against the reference grammar of the distribution specification. */
export type ImageReference =
  | {
      readonly type: "name";
      /** Registry host, with its port if it has one; `docker.io` where the text names none. */
      readonly domain: string;
      /** The whole path inside the registry, such as `library/busybox`. */
      readonly path: string;
      /** Domain and path in the short form that engines show: `busybox`, `a/b`, `host:5000/x`. */
      readonly repository: string;
      /** `latest` where the text has neither tag nor digest; `undefined` only beside a digest. */
      readonly tag: string | undefined;
      readonly digest: string | undefined;
    }
  /** A local image by its id; no registry knows it. */
  | { readonly type: "id"; readonly digest: string };

const DEFAULT_DOMAIN = "docker.io";
const LOCAL_ID = /^(?:sha256:)?([0-9a-f]{64})$/;
const DOMAIN_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const DOMAIN = new RegExp(`^(?:${DOMAIN_LABEL}(?:\\.${DOMAIN_LABEL})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]+)?$`);
const PATH_PART = /^[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,128}$/;
/** Domain and path together, as the distribution specification has it. */
const MAX_NAME_LENGTH = 255;
/** A name, a tag and the longest digest; longer text is refused before anything reads it. */
const MAX_LENGTH = 560;

/**
 * Reads an image reference. What passes may be written into an engine's URL and a log line as it stands.
 *
 * @throws {@link ExecutorError} IMAGE_NAME_INVALID, with the reason in words.
 */
// eslint-disable-next-line complexity -- one check after the other, in the order of the text; a part of it says nothing alone
export function parseImageReference(text: string): ImageReference {
  if (text === "") throw invalid(text, "it is empty");
  if (text.length > MAX_LENGTH) throw invalid(text, `it has more than ${MAX_LENGTH} characters`);
  const localId = LOCAL_ID.exec(text)?.[1];
  if (localId !== undefined) return { type: "id", digest: `sha256:${localId}` };

  const { name, tag, digest } = splitReference(text);
  if (digest !== undefined && !DIGEST.test(digest)) throw invalid(text, "its digest is malformed");
  if (tag !== undefined && !TAG.test(tag)) throw invalid(text, "its tag is malformed");
  if (name.length > MAX_NAME_LENGTH)
    throw invalid(text, `its name has more than ${MAX_NAME_LENGTH} characters`);
  const { domain, path } = splitDomain(name);
  if (!DOMAIN.test(domain)) throw invalid(text, "its registry is malformed");
  if (!path.split("/").every((part) => PATH_PART.test(part))) {
    throw invalid(
      text,
      "each part of its name must be lower-case letters and digits, joined by single . _ or -",
    );
  }
  const hasNeither = tag === undefined && digest === undefined;
  return { type: "name", ...shape(domain, path), tag: hasNeither ? "latest" : tag, digest };
}

/** The reference in the form that engines look up: the digest decides where there is one. */
export function formatImageReference(reference: ImageReference): string {
  if (reference.type === "id") return reference.digest;
  const { repository, tag, digest } = reference;
  return digest === undefined ? `${repository}:${tag ?? "latest"}` : `${repository}@${digest}`;
}

/** Cuts at the marks; the parts are still to be checked. A colon before the last slash belongs to the registry. */
function splitReference(text: string): { name: string; tag: string | undefined; digest: string | undefined } {
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(":");
  if (colon <= named.lastIndexOf("/")) return { name: named, tag: undefined, digest };
  return { name: named.slice(0, colon), tag: named.slice(colon + 1), digest };
}

/** The first part is a registry if it could not be a user's name. */
function splitDomain(name: string): { readonly domain: string; readonly path: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isDomain = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  return isDomain ? { domain: first, path: name.slice(slash + 1) } : { domain: DEFAULT_DOMAIN, path: name };
}

function shape(domain: string, path: string): { domain: string; path: string; repository: string } {
  const isDefault = domain === DEFAULT_DOMAIN || domain === "index.docker.io";
  if (!isDefault) return { domain, path, repository: `${domain}/${path}` };
  const isOfficial = !path.includes("/") || /^library\/[^/]+$/.test(path);
  const short = isOfficial ? path.replace(/^library\//, "") : path;
  return { domain: DEFAULT_DOMAIN, path: isOfficial ? `library/${short}` : path, repository: short };
}

function invalid(text: string, reason: string): ExecutorError {
  const image = text.length > 160 ? `${text.slice(0, 160)}…` : text;
  return new ExecutorError("IMAGE_NAME_INVALID", { image: JSON.stringify(image), reason });
}
