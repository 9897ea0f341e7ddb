/** A style sheet: the build takes it up, the code gets nothing of it. */
declare module "*.css" {}
