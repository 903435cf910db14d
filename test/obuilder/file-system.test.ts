/*
 * Which file system a directory is on.
 */

import { expect, it } from "vitest";
import { typeAt } from "../../src/obuilder/stores/file-system.js";

const mount = (target: string, type: string) => ({ root: "/", target, type, options: "" });

it("is that of the nearest mount, and of the last one there", () => {
  const mounts = [
    mount("/", "ext4"),
    mount("/srv/a", "xfs"),
    mount("/srv", "tmpfs"),
    mount("/srv", "btrfs"),
  ];
  expect(typeAt("/srv/a/store", mounts)).toBe("xfs");
  expect(typeAt("/srv/a", mounts)).toBe("xfs");
  expect(typeAt("/srv/ab", mounts)).toBe("btrfs");
  expect(typeAt("/var", mounts)).toBe("ext4");
});

it("cannot be told in a chroot whose root is no mount", () => {
  expect(typeAt("/var", [mount("/proc", "proc")])).toBe("another file system");
});
