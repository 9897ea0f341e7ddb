#!/usr/bin/env node
// Attests a server, seals an input for it, has it worked on there and opens the answer. `--help` says how it is used.
import { parseArgs } from "node:util";
import { checkEvidence, measure, newKeys, open, seal } from "./sealing.mjs";

const HELP = `node client.mjs [numbers...]    adds up numbers that the host never sees

  --url <url>      the daemon (default http://127.0.0.1:2591)
  --image <image>  the task (default sgx-mock)
  --token <token>  bearer token, where the daemon wants one (default $HEARTH_TOKEN)
  --plain          without SGX: for hosts that have none, to see the steps
  --legacy         over POST / instead of /v1
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: "string", default: "http://127.0.0.1:2591" },
    image: { type: "string", default: "sgx-mock" },
    token: { type: "string", default: process.env.HEARTH_TOKEN },
    plain: { type: "boolean", default: false },
    legacy: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

async function post(path, body, headers = {}, method = "POST") {
  const authorization = values.token === undefined ? {} : { authorization: `Bearer ${values.token}` };
  const url = new URL(path, values.url);
  const response = await fetch(url, { method, body, headers: { ...authorization, ...headers } });
  if (!response.ok) throw new Error(`${path}: status ${response.status}: ${await response.text()}`);
  return response;
}

/** Over /v1: a session leads every further call to the server that gave the evidence, or fails. */
async function openSession() {
  const query = new URLSearchParams({ image: values.image, sgx: String(!values.plain) });
  const response = await post(`/v1/attest?${query}`);
  const session = response.headers.get("hearth-session");
  return {
    evidence: await response.json(),
    run: async (sealed) =>
      (await post(`/v1/calls?session=${session}&path=/run`, JSON.stringify(sealed))).json(),
    end: () => post(`/v1/sessions/${session}`, undefined, {}, "DELETE"),
  };
}

/** Over the older API: the daemon keeps an attested server for a while, and its task has only one. */
async function openLegacy() {
  const call = async (input) => {
    const body = JSON.stringify({ id: values.image, use_sgx: true, input });
    const { success, msg } = await (await post("/", body, { "content-type": "application/json" })).json();
    if (!success) throw new Error(msg);
    return JSON.parse(msg);
  };
  return {
    evidence: await call("SGXRAREQUEST"),
    run: (sealed) => call(JSON.stringify(sealed)),
    end: () => Promise.resolve(),
  };
}

async function main() {
  if (values.help) return process.stdout.write(HELP);
  if (values.legacy && values.plain) throw new Error("--legacy has no attestation without SGX");
  const numbers = (positionals.length === 0 ? ["1", "2", "3"] : positionals).map(Number);
  const server = await (values.legacy ? openLegacy() : openSession());
  checkEvidence(server.evidence, measure());
  const { publicKey } = server.evidence;
  console.log(`evidence: a mock, measurement ${server.evidence.measurement}, key ${publicKey}`);
  const own = newKeys();
  const sealed = seal(JSON.stringify({ numbers }), "request", own, publicKey);
  console.log(`sent: ${sealed.ciphertext}`);
  const answer = open(await server.run(sealed), "answer", own, publicKey);
  console.log(`answer: ${answer}`);
  await server.end();
}

try {
  await main();
} catch (error) {
  console.error(`sgx-mock client: ${error.message}`);
  process.exitCode = 1;
}
