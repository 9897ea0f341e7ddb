export { zipArchiver, zipArchiverBy } from "./zip-archiver.ts";
