export { digestOf, GENESIS, linkHash } from "./chain-hash.ts";
export { chainId, isSigned, publicKeyOf, receiptKey, signCheckpoint } from "./chain-key.ts";
export type { ChainLine } from "./chain-lines.ts";
export { CHAIN_FORMAT, checkpointLine, entryLine, headLine, parseChainLine } from "./chain-lines.ts";
export type { ChainFault, ChainReport, VerifyOptions } from "./verify-chain.ts";
export { ChainVerifier } from "./verify-chain.ts";
export { verifyReceipt } from "./verify-receipt.ts";
