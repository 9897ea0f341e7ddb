export { zipArchiver } from "./zip-archiver.ts";
