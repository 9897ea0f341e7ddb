export { digestOf, GENESIS, linkHash } from "./chain-hash.ts";
export {
  chainId,
  isEndSigned,
  isSigned,
  publicKeyOf,
  receiptKey,
  signCheckpoint,
  signEnd,
} from "./chain-key.ts";
export type { ChainLine } from "./chain-lines.ts";
export { CHAIN_FORMAT, checkpointLine, endLine, entryLine, headLine, parseChainLine } from "./chain-lines.ts";
export type { VerifyOptions } from "./verify-chain.ts";
export { ChainVerifier } from "./verify-chain.ts";
export { verifyReceipt } from "./verify-receipt.ts";
