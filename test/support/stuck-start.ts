/** A daemon whose start neither ends nor obeys its signal: only the second wish to stop gets it down. */
import { listenToSignals } from "../../src/signals.ts";

const wishes = listenToSignals();
setInterval(() => process.stdout.write(wishes.ended.aborted ? "asked\n" : "starting\n"), 20);
