// A credential as its holder shows it, checked: the issuing seat's signature and every disclosure (RFC 9901).

import { b64, unb64 } from "./seal.js";

const utf8 = new TextEncoder();
const json = (text) => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(unb64(text)));

// {issuer, payload, claims}; `keys`: seat to its evidence key (JWK). Throws Error("form" | "key" | "signature" | "disclosure").
// Whether the credential counts is the ledger's to say, and whether `exp` has passed the reader's.
export async function readPresentation(text, keys) {
  const [jwt, ...disclosures] = text.trim().split("~");
  const parts = jwt.split(".");
  if (parts.length !== 3 || disclosures.pop() !== "") throw new Error("form");
  let header, payload;
  try {
    [header, payload] = [json(parts[0]), json(parts[1])];
  } catch {
    throw new Error("form");
  }
  const issuer = /^seat:(\d+)$/.exec(payload.iss)?.[1];
  if (header.typ !== "dc+sd-jwt" || header.alg !== "ES256" || payload._sd_alg !== "sha-256" || !Array.isArray(payload._sd))
    throw new Error("form");
  if (!keys[issuer] || header.kid !== keys[issuer].kid) throw new Error("key");
  const { kty, crv, x, y } = keys[issuer];
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("jwk", { kty, crv, x, y }, algorithm, false, ["verify"]);
  const signed = utf8.encode(`${parts[0]}.${parts[1]}`);
  if (!(await crypto.subtle.verify(algorithm, key, unb64(parts[2]), signed))) throw new Error("signature");

  const claims = {};
  for (const disclosure of disclosures) {
    const digest = b64(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8.encode(disclosure))));
    if (!payload._sd.includes(digest)) throw new Error("disclosure");
    const [, name, value] = json(disclosure);
    if (Object.hasOwn(claims, name) || Object.hasOwn(payload, name)) throw new Error("disclosure");
    claims[name] = value;
  }
  return { issuer, payload, claims };
}
