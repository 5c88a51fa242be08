// A certificate of this machine for the balancer, by an authority of its own. Made by the openssl program.

import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Makes both in `directory`: `authority` is the file to trust, `cert` and `key` are for a TLS server. */
export async function makeCertificate(directory) {
  const file = (name) => join(directory, name);
  const openssl = (...words) => run("openssl", words);
  const authority = ["-subj", "/CN=Hubbub test authority", "-days", "7", "-keyout", file("ca.key")];
  await openssl("req", "-x509", ...KEY, ...authority, "-out", file("ca.pem"));
  await openssl("req", "-new", ...KEY, "-subj", "/CN=localhost", "-keyout", file("key.pem"), "-out", file("request"));
  await writeFile(file("extensions"), "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n");
  const signing = ["-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-CAcreateserial", "-days", "7"];
  const names = ["-extfile", file("extensions"), "-out", file("cert.pem")];
  await openssl("x509", "-req", "-in", file("request"), ...signing, ...names);
  return { authority: file("ca.pem"), cert: await readFile(file("cert.pem")), key: await readFile(file("key.pem")) };
}
