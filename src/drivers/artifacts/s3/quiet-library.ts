/** The S3 library would print on standard error that it will not support this Node for ever; to be called before it is loaded. */
export function quietLibrary(): void {
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] = "true";
}
