// The command line of `hubbub dev`, as the suites write it, for a cluster: what concerns the cluster as a whole, and
// what each broker is given.

/** Flags that take the next word, and that brokers are not given: the cluster has them, or the harness decides. */
const KEPT = ["listen", "tls-listen", "operations-listen", "data-dir", "node-id", "log-level", "log-format"];
/** A key for tests only: it is public. */
const DEFAULT_KEY = "access-key-of-a-cluster-for-tests-0000001";

/**
 * @param {string[]} words behind the program's name
 * @returns {{ kept: Record<string, string>, accessKey: string, passed: string[] }}
 */
export function readFlags([command, ...words]) {
  if (command !== "dev") {
    throw new Error("only the command line of hubbub dev is understood");
  }
  const kept = {};
  const passed = [];
  let accessKey;
  while (words.length > 0) {
    const word = words.shift();
    const [, name, written] = /^--([a-z0-9-]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (KEPT.includes(name)) {
      kept[name] = written ?? words.shift();
    } else if (name === "access-key") {
      accessKey = written ?? words.shift();
    } else if (name === "playground") {
      throw new Error("a broker has no playground");
    } else {
      passed.push(word);
    }
  }
  accessKey ??= DEFAULT_KEY;
  return { kept, accessKey, passed: [...passed, `--access-key=${accessKey}`] };
}

/** An address of the command line; nothing when it is off. */
export function addressOf(text, otherwise) {
  if (text === "off") {
    return undefined;
  }
  const [, host, port] = /^(.*):(\d+)$/.exec(text ?? otherwise);
  return { host: host === "localhost" ? "127.0.0.1" : host, port: Number(port) };
}
