import type { HearthClient, Sandbox } from "../client/index.ts";
import { UsageError } from "./command.ts";

/**
 * The one sandbox that a text means: its id or the beginning of it, its outside name, or its image if only one runs it.
 *
 * @throws {@link UsageError} when it means none, or several.
 */
export async function findSandbox(client: HearthClient, text: string, signal: AbortSignal): Promise<Sandbox> {
  const found = await maybeSandbox(client, text, signal);
  if (found === undefined) throw new UsageError(`no warm task is called "${text}"; \`hearth ps\` lists them`);
  return found;
}

/** As {@link findSandbox}, or nothing if it means none. @throws {@link UsageError} when it means several. */
export async function maybeSandbox(
  client: HearthClient,
  text: string,
  signal: AbortSignal,
): Promise<Sandbox | undefined> {
  const { sandboxes } = await client.sandboxes({ signal });
  const exact = sandboxes.find(({ id, label }) => id === text || label === text);
  if (exact !== undefined) return exact;
  const near = sandboxes.filter(({ id, image }) => id.startsWith(text) || isImage(image, text));
  if (near.length > 1) {
    throw new UsageError(`"${text}" may mean ${near.map(({ id }) => id).join(", ")}; say more of the id`);
  }
  return near[0];
}

/**
 * As {@link findSandbox}, and else the worker or job that it means: by its sandbox's id or the beginning of it, its outside name, or
 * the name that its door has for it.
 *
 * @throws {@link UsageError} when it means none, or several.
 */
export async function findRunning(
  client: HearthClient,
  text: string,
  signal: AbortSignal,
): Promise<{ readonly id: string }> {
  const { jobs } = await client.jobs({ signal });
  const exact = jobs.filter((job) => [job.sandboxId, job.jobId, job.label].includes(text));
  const near = exact.length > 0 ? exact : jobs.filter(({ sandboxId }) => sandboxId.startsWith(text));
  const [job] = near;
  if (job === undefined) return await findSandbox(client, text, signal);
  const { sandboxes } = await client.sandboxes({ signal });
  const ids = exact.length > 0 ? [] : sandboxes.map(({ id }) => id).filter((id) => id.startsWith(text));
  const all = [...near.map(({ sandboxId }) => sandboxId), ...ids];
  if (all.length > 1) throw new UsageError(`"${text}" may mean ${all.join(", ")}; say more of the id`);
  return { id: job.sandboxId };
}

/** A tag that nobody typed is `latest`. */
function isImage(image: string, text: string): boolean {
  return image === text || image === `${text}:latest`;
}
