type Variables = Readonly<Record<string, string | undefined>>;

/** What of the daemon's environment no function gets to see: the daemon's own settings, and keys to the cloud. */
const WITHHELD = [
  /^HEARTH_/,
  /^(NOTIFY_SOCKET|WATCHDOG_|LISTEN_(FDS|PID))/,
  /^AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|SECURITY_TOKEN|PROFILE)$/,
  /^AWS_(WEB_IDENTITY_TOKEN_FILE|ROLE_ARN|CONTAINER_|SHARED_CREDENTIALS_FILE|CONFIG_FILE)/,
  /^(GOOGLE_APPLICATION_CREDENTIALS|CLOUDSDK_)/,
];

export interface WorkerNames {
  readonly executorId: string;
  readonly containerId: string;
}

/**
 * The variables of one worker (`contracts/indexify.md` 6.2). A program of this host inherits the daemon's, but for what would
 * let a function act as the daemon; a container begins with none. A secret comes only if its function names it and the
 * operator lists it; one that is not there is left out, as the open-source service does.
 */
export function workerEnvironment(
  { executorId, containerId }: WorkerNames,
  inherited: Variables,
  secrets: Variables,
): Readonly<Record<string, string>> {
  const passed = Object.entries(inherited).filter(
    ([name]) => !WITHHELD.some((pattern) => pattern.test(name)),
  );
  return Object.fromEntries(
    [...passed, ...Object.entries(secrets), ...ownVariables(executorId, containerId)].filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  );
}

function ownVariables(executorId: string, containerId: string): readonly [string, string][] {
  return [
    ["INDEXIFY_EXECUTOR_ID", executorId],
    ["INDEXIFY_FE_ID", containerId],
    ["PYTHONFAULTHANDLER", "1"],
  ];
}
