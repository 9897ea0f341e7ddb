export { digestOf, GENESIS, linkHash } from "./chain-hash.ts";
export { isSigned, publicKeyOf, receiptKey, signCheckpoint, signEnd, signReceipt } from "./chain-key.ts";
export type { ChainLine } from "./chain-lines.ts";
export { blockLine, endLine, entryLine, headLine } from "./chain-lines.ts";
export type { VerifyOptions } from "./verify-chain.ts";
export { ChainVerifier } from "./verify-chain.ts";
export { verifyReceipt } from "./verify-receipt.ts";
