/** Which images may run. In a pattern `*` stands for any run of characters; everything else for itself. */
export interface ImagePolicy {
  /** If not empty, only images that match one of these run. */
  readonly allow: readonly string[];
  /** Stronger than `allow`. */
  readonly deny: readonly string[];
}

/** Makes the test once; it is asked for each cold call. */
export function imagePolicy({ allow, deny }: ImagePolicy): (image: string) => boolean {
  const allowed = allow.map(toPattern);
  const denied = deny.map(toPattern);
  return (image) =>
    (allowed.length === 0 || allowed.some((pattern) => pattern.test(image))) &&
    !denied.some((pattern) => pattern.test(image));
}

/** Runs of `*` become one, so that no pattern can take exponential time. */
function toPattern(text: string): RegExp {
  const parts = text.split(/\*+/).map((part) => part.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "su");
}
