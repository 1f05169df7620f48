// A credential as its holder shows it (RFC 9901): made here of the claims that the holder chooses, bound to the holder's key for
// one reader; and checked: the issuing seat's signature, every disclosure, the key binding.

import { b64, unb64 } from "./seal.js";
import { HASH_NAME, SIGNING, SIGNING_ALG, digest as hashOf } from "./suite.js";

const utf8 = new TextEncoder();
const json = (text) => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(unb64(text)));
const digest = async (text) => b64(await hashOf(utf8.encode(text)));
const encoded = (value) => b64(utf8.encode(JSON.stringify(value)));

// A key to which a credential is bound: its private half cannot be read out of the browser.
export async function newHolderKey() {
  const pair = await crypto.subtle.generateKey(SIGNING, false, ["sign", "verify"]);
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  return { pair, jwk: { kty, crv, x, y } };
}

// `names`: the claims to show of a whole presentation; the others stay out of what is handed over.
export function choose(presentation, names) {
  const [jwt, ...disclosures] = presentation.split("~");
  const chosen = disclosures.filter((each) => each && names.includes(json(each)[1]));
  return [jwt, ...chosen, ""].join("~");
}

// The presentation with a key binding for one reader.
export async function bind(presentation, pair, audience, nonce) {
  const payload = { iat: Math.floor(Date.now() / 1000), aud: audience, nonce, sd_hash: await digest(presentation) };
  const signed = `${encoded({ alg: SIGNING_ALG, typ: "kb+jwt" })}.${encoded(payload)}`;
  const signature = new Uint8Array(await crypto.subtle.sign(SIGNING, pair.privateKey, utf8.encode(signed)));
  return `${presentation}${signed}.${b64(signature)}`;
}

async function verified(token, { kty, crv, x, y }) {
  const parts = token.split(".");
  const key = await crypto.subtle.importKey("jwk", { kty, crv, x, y }, SIGNING, false, ["verify"]);
  return crypto.subtle.verify(SIGNING, key, unb64(parts[2]), utf8.encode(`${parts[0]}.${parts[1]}`));
}

async function readBinding(token, shown, holder) {
  if (!token) return null;
  try {
    const [header, payload] = token.split(".").slice(0, 2).map(json);
    const good = header.typ === "kb+jwt" && header.alg === SIGNING_ALG && payload.sd_hash === (await digest(shown));
    if (good && holder && (await verified(token, holder))) return payload;
  } catch {
    // falls through: whatever is wrong with it, it binds nothing
  }
  throw new Error("binding");
}

// {issuer, payload, claims, binding}; `keys`: seat to its evidence keys of all times, [{…JWK, until}] with `until` in seconds or
// null. Throws Error("form" | "key" | "signature" | "disclosure" | "binding"). Whether the credential counts is the ledger's to
// say, whether `exp` has passed and the binding is for them and fresh the reader's.
export async function readPresentation(text, keys) {
  const [jwt, ...disclosures] = text.trim().split("~");
  const parts = jwt.split(".");
  if (parts.length !== 3 || !disclosures.length) throw new Error("form");
  const bound = disclosures.pop();
  let header, payload;
  try {
    [header, payload] = [json(parts[0]), json(parts[1])];
  } catch {
    throw new Error("form");
  }
  const issuer = /^seat:(\d+)$/.exec(payload.iss)?.[1];
  if (header.typ !== "dc+sd-jwt" || header.alg !== SIGNING_ALG || payload._sd_alg !== HASH_NAME || !Array.isArray(payload._sd))
    throw new Error("form");
  const key = keys[issuer]?.find((each) => each.kid === header.kid && (each.until === null || payload.iat <= each.until));
  if (!key) throw new Error("key");
  if (!(await verified(jwt, key))) throw new Error("signature");

  const claims = {};
  for (const disclosure of disclosures) {
    if (!payload._sd.includes(await digest(disclosure))) throw new Error("disclosure");
    const [, name, value] = json(disclosure);
    if (Object.hasOwn(claims, name) || Object.hasOwn(payload, name)) throw new Error("disclosure");
    claims[name] = value;
  }
  const binding = await readBinding(bound, [jwt, ...disclosures, ""].join("~"), payload.cnf?.jwk);
  return { issuer, payload, claims, binding };
}
