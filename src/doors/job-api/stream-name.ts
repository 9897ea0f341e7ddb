import { requestStreamOf } from "../../contract/executer-tracker/index.ts";

/** Where requests of one executer type go; those for a pool have a stream of their own, which only its hosts read. */
export function streamOf(executerType: string, pool: string | undefined): string {
  const stream = requestStreamOf(executerType);
  return pool === undefined ? stream : `${stream}:${pool}`;
}
