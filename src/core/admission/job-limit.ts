import type { DoorName, Share } from "../settings.ts";
import { DOOR_NAMES } from "../settings.ts";
import type { Amounts } from "../task/resources.ts";
import { minus } from "../task/resources.ts";

/**
 * The most that the jobs of a door may hold together. What a call is lent of another door's share comes back soon; what a job takes
 * it keeps for hours, so no job is lent any.
 */
export function jobLimit(
  capacity: Amounts,
  shares: Readonly<Record<DoorName, Share>>,
  door: DoorName,
): Amounts {
  let left = capacity;
  for (const other of DOOR_NAMES) if (other !== door) left = minus(left, shares[other]);
  return left;
}
