// Credentials of ours read, and shown to us, by @sd-jwt/sd-jwt-vc with Node's WebCrypto; nothing of this project is used.
// In: {jobs: [{verify: presentation, nonce?, required?} | {present: presentation, names, audience, nonce}], issuer: JWK, holder: JWK,
// types: {integrity: text}, now}. Out: one of {claims, payload, key, type} | {shown} | {error} for each job.

import { createHash, randomBytes, webcrypto } from "node:crypto";
import { SDJwtVcInstance } from "@sd-jwt/sd-jwt-vc";

const given = JSON.parse(await new Promise((done) => {
  let text = "";
  process.stdin.setEncoding("utf8").on("data", (part) => (text += part)).on("end", () => done(text));
}));
const ES256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const utf8 = new TextEncoder();

async function check(data, signature, { kty, crv, x, y }) {
  const key = await webcrypto.subtle.importKey("jwk", { kty, crv, x, y }, ES256, false, ["verify"]);
  return webcrypto.subtle.verify(ES256, key, Buffer.from(signature, "base64url"), utf8.encode(data));
}

async function sign(data) {
  const key = await webcrypto.subtle.importKey("jwk", given.holder, ES256, false, ["sign"]);
  return Buffer.from(await webcrypto.subtle.sign(ES256, key, utf8.encode(data))).toString("base64url");
}

const reader = new SDJwtVcInstance({
  hasher: (data, algorithm) => createHash(algorithm.replace("-", "")).update(Buffer.from(data)).digest(),
  hashAlg: "sha-256",
  saltGenerator: (length) => randomBytes(length).toString("base64url"),
  signAlg: "ES256",
  verifier: (data, signature) => check(data, signature, given.issuer),
  kbSigner: sign,
  kbSignAlg: "ES256",
  kbVerifier: (data, signature, payload) => check(data, signature, payload.cnf.jwk),
  loadTypeMetadataFormat: true,
  vctFetcher: async (vct, integrity) => {
    const text = given.types[integrity];
    const hash = `sha256-${createHash("sha256").update(text ?? "").digest("base64")}`;
    if (hash !== integrity) throw new Error(`no type metadata of ${vct} with ${integrity}`);
    return JSON.parse(text);
  },
});

async function run(job) {
  if (job.present !== undefined) {
    const frame = Object.fromEntries(job.names.map((name) => [name, true]));
    const payload = { iat: given.now, aud: job.audience, nonce: job.nonce };
    return { shown: await reader.present(job.present, frame, { kb: { payload } }) };
  }
  const options = { currentDate: given.now, requiredClaimKeys: job.required, keyBindingNonce: job.nonce };
  const { payload, kb, typeMetadata } = await reader.verify(job.verify, options);
  return { payload, kb: kb?.payload ?? null, type: typeMetadata?.mergedTypeMetadata ?? typeMetadata ?? null };
}

const results = [];
for (const job of given.jobs) results.push(await run(job).catch((error) => ({ error: String(error.message ?? error) })));
process.stdout.write(JSON.stringify(results));
