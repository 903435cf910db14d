/*
 * Builds that a store can get wrong: what is changed, removed, replaced or moved in a layer must be
 * so in its root, and all that a file has besides its content must survive every further layer.
 */

/** On the image `busybox`, with the source directory of `SOURCE`. */
export const TWELVE_BUILDS: Readonly<Record<string, string>> = {
  "new files": '(run (shell "echo one > /one; mkdir -p /a/b/c; echo two > /a/b/c/two"))',

  "changed files": `
    (run (shell "echo one > /f; echo long enough to be cut > /g"))
    (run (shell "echo more >> /f; echo x > /g"))`,

  "removed files and directories": `
    (run (shell "mkdir -p /d/e; echo 1 > /d/e/f; echo 2 > /d/g; echo 3 > /h"))
    (run (shell "rm -r /d/e /h"))
    (run (shell "rm /d/g; rmdir /d"))`,

  "a directory that was removed and made again is empty": `
    (run (shell "mkdir /d; echo old > /d/old"))
    (run (shell "rm -r /d; mkdir /d; echo new > /d/new"))
    (run (shell "ls /d > /listing"))`,

  "things that change their kind": `
    (run (shell "mkdir /x; echo 1 > /x/1; echo 2 > /y; ln -s y /z"))
    (run (shell "rm -r /x /y /z; echo x > /x; mkdir /y; echo z > /z"))`,

  moves: `
    (run (shell "mkdir -p /from/deep; echo f > /from/deep/f; echo g > /g"))
    (run (shell "mv /from /to; mv /g /to/deep/h"))
    (run (shell "mv /to/deep /deep"))`,

  "modes and owners": `
    (run (shell "echo s > /s; chown 12:34 /s; chmod 4755 /s; mkdir /m; chmod 1777 /m; echo r > /r; chmod 0 /r"))
    (run (shell "mkdir -m 2750 /n; chown 1000:100 /n; chmod 600 /s"))`,

  links: `
    (run (shell "echo l > /l; ln /l /l2; ln -s /l /abs; ln -s l /rel; ln -s /nowhere /dangling"))
    (run (shell "echo other > /unrelated"))`,

  "another user": `
    (user (uid 1000) (gid 100)) (workdir /tmp) (env HOME /tmp)
    (run (shell "id -u > who; umask 027; echo mine > file; mkdir dir"))
    (user (uid 0) (gid 0)) (run (shell "cat /tmp/who > /root/who"))`,

  "copies from the context": `
    (copy (src .) (dst /all)) (workdir /w) (user (uid 7) (gid 8))
    (copy (src sub/script sub/link) (dst into/))
    (copy (src sub) (dst /without/) (exclude skipped))
    (run (shell "find /all /w | sort > /tmp/listing"))`,

  "caches and secrets leave their places behind": `
    (run (cache (c (target /var/cache/c))) (shell "echo cached > /var/cache/c/f"))
    (run (cache (c (target /var/cache/c))) (network host) (shell "cat /var/cache/c/f > /seen"))`,

  "many layers": Array.from(
    { length: 12 },
    (_, n) => `(run (shell "echo ${n} >> /count; echo ${n} > /layer-${n}; rm -f /layer-${n - 3}"))`,
  ).join("\n"),
};
