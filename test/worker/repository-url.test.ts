import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RepositoryUrl, redact } from "../../src/worker/context/repository-url.js";

describe("a URL's credentials", () => {
  const odd = fc.stringMatching(/^[!-~]{1,12}$/).filter((text) => !/[/\\?#]/.test(text));

  it("are found as the URL standard has them, whatever is in them", () => {
    fc.assert(
      fc.property(odd, odd, (user, password) => {
        const url = new RepositoryUrl(`https://${user}:${password}@host.example/a/b.git`);
        expect(url.plain).toBe("https://host.example/a/b.git");
        expect(url.credentials).toMatch(/^https:\/\/[^@]*@host\.example$/);
      }),
    );
  });

  it("are in no message, even if they make it no URL", () => {
    const say = (text: string) => {
      try {
        return new RepositoryUrl(text).plain;
      } catch (error) {
        return (error as Error).message;
      }
    };
    for (const text of [
      "https://u:hunter2/x@h/a",
      "https://u:8080/hunter2@h/a",
      "https://u:1?hunter2@h/a",
      "https://u:1#hunter2@h/a",
      "https://token/hunter2@h/a",
      "https://u:x hunter2@h/a",
      "https://u:x@hunter2@h/a",
      "https://u:x\\\\hunter2@h/a",
      "ssh://u:hunter2@h/a",
      "ssh://u:8080/hunter2@h/a",
      "https://u:hunter2@/a",
      "u:hunter2@h/a",
      "hunter2:@h/a",
      "u:12/hunter2@h/a",
    ])
      expect(say(text)).not.toContain("hunter2");
  });

  it("are told apart from paths, and how is said", () => {
    const ambiguous = () => new RepositoryUrl("https://u:12/34@h/a");
    expect(ambiguous).toThrow(
      'Ambiguous URL "https://h/a": in a path, write @ as %40, and in a password / as %2F',
    );
    expect(new RepositoryUrl("https://u:12%2F34@h/a%40b").plain).toBe("https://h/a%40b");
  });

  it("are looked for in no more time than it takes to read what is no URL", () => {
    expect(() => new RepositoryUrl(`http:${"://".repeat(1_000_000)}`)).toThrow("Invalid URL");
    expect(() => new RepositoryUrl(`http://h${"/@".repeat(1_000_000)}`)).toThrow("Ambiguous URL");
    for (const piece of ["://", "'", "@", "'x://@", "/ ", "x"]) {
      const text = piece.repeat(1_000_000);
      expect(redact(text).length).toBeLessThanOrEqual(text.length);
    }
  });
});

it("takes credentials out of any text", () => {
  expect(redact("fatal: unable to access 'http://u:p%40@h/x': no http://u@h")).toBe(
    "fatal: unable to access 'http://h/x': no http://h",
  );
  expect(redact("Cloning 'https://u:p w/ord@h/x' failed, http://u:1/2@3@h/y too")).not.toMatch(
    /p w|ord|1\/2|2@/,
  );
  expect(redact("remote: write to\thelp@host.example: no 'http://h/x'")).toBe(
    "remote: write to\thelp@host.example: no 'http://h/x'",
  );
});
