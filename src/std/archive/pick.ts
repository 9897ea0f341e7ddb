import type { ArchiveLimits } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { openBudget } from "./budget.ts";
import { shown } from "./entry-name.ts";
import { archiveFailure } from "./failure.ts";
import type { ArchiveMember, OpenArchive } from "./read-archive.ts";
import { openArchive } from "./read-archive.ts";
import { writeZip } from "./zip-writer.ts";

/** See `Archiver.pick`. */
export async function pick(
  zipPath: string,
  names: Readonly<Record<string, string>>,
  toZipPath: string,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<void> {
  try {
    await using archive = await openArchive(zipPath, limits, signal);
    const wanted = Object.entries(names).map(([name, to]) => ({ member: find(archive, name), to }));
    const budget = openBudget(limits, archive.bytes);
    await writeZip(toZipPath, async (zip) => {
      for (const { member, to } of wanted)
        await zip.addStream(
          to,
          member.entry.getLastModDate({ timezone: "UTC" }).getTime(),
          member.entry.uncompressedSize,
          archive.contents(member, budget, signal),
        );
    });
  } catch (error) {
    throw archiveFailure(error, signal);
  }
}

function find(archive: OpenArchive, name: string): ArchiveMember {
  const member = archive.members.find(({ path, isFolder }) => path === name && !isFolder);
  if (member === undefined) throw new ExecutorError("ARTIFACT_NOT_FOUND", { name: shown(name) });
  return member;
}
