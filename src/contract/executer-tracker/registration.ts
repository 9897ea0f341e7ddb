import * as z from "zod";

/** Where a host says what it is: on its own, or a machine of Google's cloud (section 3). */
export const hostInfo = z.discriminatedUnion("host_type", [
  z.looseObject({ host_type: z.literal("inductiva-hardware"), hostname: z.string().optional() }),
  z.looseObject({
    host_type: z.literal("gcloud"),
    vm_type: z.string(),
    vm_name: z.string(),
    vm_id: z.string(),
    preemptible: z.boolean(),
    vm_metadata: z.record(z.string(), z.unknown()),
  }),
]);
export type HostInfo = z.output<typeof hostInfo>;

/** The body of `POST /executers/register`. */
export const registrationRequest = z.looseObject({
  create_time: z.string().min(1),
  supported_executer_types: z.array(z.string()),
  cpu_count_logical: z.int().min(1),
  cpu_count_physical: z.int().min(1),
  memory: z.int().min(1).describe("Bytes."),
  cpu_info: z.string().describe("What `lscpu` prints, or as much of it as is known; never null."),
  resource_pool_id: z.uuid().nullish(),
  machine_group_id: z.uuid().nullish(),
  host_info: hostInfo,
});
export type RegistrationRequest = z.output<typeof registrationRequest>;

/** Where requests come from and what this host is called there. All of it is opaque. */
export const registrationResponse = z.looseObject({
  uuid: z.uuidv4().describe("The executer's id in events."),
  redis_streams: z.array(z.string().min(1)).min(1),
  redis_consumer_group: z.string().min(1),
  redis_consumer_name: z.string().min(1),
});
export type Registration = Readonly<
  Pick<
    z.output<typeof registrationResponse>,
    "uuid" | "redis_streams" | "redis_consumer_group" | "redis_consumer_name"
  >
>;
