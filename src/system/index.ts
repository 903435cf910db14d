/**
 * The machine: directories, programs, mounts. `sqlite.ts` and `lock.ts` are doors of their own, as
 * SQLite's compiled part is to be loaded only where there is a database.
 */
export { hashFile } from "./hash-file.js";
export { HashMemory, isUnchanged } from "./hash-memory.js";
export { kernelAtLeast } from "./kernel.js";
export { takeLock } from "./lock.js";
export { DirectoryError, makeDirectory } from "./make-directory.js";
export {
  listMounts,
  type MountInfo,
  mountEnv,
  mountOverlay,
  type OverlayMount,
  ownMountsMade,
  unmount,
  unmountBelow,
  VOLATILE,
  withOwnMounts,
} from "./mounts.js";
export { OpenFiles } from "./open-files.js";
export { endOrphans, OWNER_MARK } from "./orphans.js";
export { PipePool } from "./pipe.js";
export { endingText, ProgramError, type RunOptions, run, runLogged, start } from "./process.js";
export {
  environmentOf,
  killAll,
  processesWhere,
  signalAll,
  withEnvironment,
} from "./processes.js";
export { removeTree } from "./remove-tree.js";
export { SourceDir } from "./source-dir.js";
export { syncDirectory } from "./sync-directory.js";
export { syncTree } from "./sync-tree.js";
export { END_OF_ARCHIVE, type EntryType, padding, tarHeader } from "./tar-header.js";
export { type ReadEntry, readTar } from "./tar-reader.js";
