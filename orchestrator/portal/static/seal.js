// Sealing in the browser, byte for byte as orchestrator/protocol/{sealing,material,credential}.py has it:
// HPKE base mode (RFC 9180) by the algorithms of suite.js; canonical JSON by RFC 8785.
// Nothing here talks to anybody: text in, sealed text out.

import { ENCAPSULATED, SEALING, agreed, cipher, concat, digest as hashOf, sealingJwk } from "./suite.js";

const utf8 = new TextEncoder();
const MATERIAL_PADDING = 1024;

export function b64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function unb64(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}

export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") {
    // Default sort is by UTF-16 code units, as RFC 8785 wants it.
    return `{${Object.keys(value).sort().map((key) => `${canonical(key)}:${canonical(value[key])}`).join(",")}}`;
  }
  if (typeof value === "number" && (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))))
    throw new TypeError("a number that JSON cannot say exactly");
  if (typeof value === "string" && /[\uD800-\uDFFF]/u.test(value)) throw new TypeError("half a character");
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError("no JSON value");
  return text;
}

const raw = async (key) => new Uint8Array(await crypto.subtle.exportKey("raw", key));

// `plaintext` padded (0x80, zeros) to a multiple of `padTo` and sealed to a public JWK: base64url(enc ‖ ciphertext).
export async function seal(jwk, plaintext, info, padTo) {
  const recipient = unb64(jwk.x);
  const padded = new Uint8Array(Math.ceil((plaintext.length + 1) / padTo) * padTo);
  padded.set(plaintext);
  padded[plaintext.length] = 0x80;
  const ephemeral = await crypto.subtle.generateKey(SEALING, true, ["deriveBits"]);
  const enc = await raw(ephemeral.publicKey);
  const dh = await agreed(recipient, ephemeral.privateKey);
  const [algorithm, key] = await cipher(dh, enc, recipient, info, "encrypt");
  return b64(concat(enc, new Uint8Array(await crypto.subtle.encrypt(algorithm, key, padded))));
}

// The plaintext of a blob; throws when it was sealed to another key or for another purpose.
export async function unseal(pair, blob, info) {
  const bytes = unb64(blob);
  const enc = bytes.slice(0, ENCAPSULATED);
  const dh = await agreed(enc, pair.privateKey);
  const [algorithm, key] = await cipher(dh, enc, await raw(pair.publicKey), info, "decrypt");
  const padded = new Uint8Array(await crypto.subtle.decrypt(algorithm, key, bytes.slice(ENCAPSULATED)));
  const end = padded.findLastIndex((byte) => byte !== 0);
  if (end < 0 || padded[end] !== 0x80) throw new TypeError("not padded as it should be");
  return padded.slice(0, end);
}

const info = (...parts) => utf8.encode(parts.map((part) => `${part}\0`).join(""));

async function hashObject(salt, object) {
  const digest = await hashOf(concat(utf8.encode("lianban.object.v1\0"), salt, utf8.encode(canonical(object))));
  return `0x${[...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

async function sealDocument(id, document, recipients) {
  const salt = crypto.getRandomValues(new Uint8Array(32));
  const hash = await hashObject(salt, document);
  const plaintext = utf8.encode(canonical({ salt: b64(salt), document }));
  const sealed = {};
  for (const [seat, jwk] of Object.entries(recipients))
    sealed[seat] = await seal(jwk, plaintext, info("lianban.material.v1", hash, id, seat), MATERIAL_PADDING);
  return { hash, sealed };
}

// `material`: {id, filename, media_type, content: bytes, fields}; `recipients`: seat to sealing JWK.
export const sealMaterial = async (material, recipients) => ({
  id: material.id,
  ...(await sealDocument(material.id, { ...material, content: b64(material.content) }, recipients)),
});

// The form lists the {id, hash} of every material that counts.
export const sealForm = (values, materials, recipients) =>
  sealDocument("form", { values, materials: materials.map(({ id, hash }) => ({ id, hash })) }, recipients);

// Why a claim is wrong, and what supports it ({filename, media_type, content: bytes}…), for the department that answered.
export const sealStatement = (why, files, recipients) =>
  sealDocument("contest", { why, attachments: files.map((file) => ({ ...file, content: b64(file.content) })) }, recipients);

// Why a department replied to a contest as it did; throws unless it is what the signed reply holds the hash of.
export async function openReason(reply, sealed, pair) {
  const { reason: hash } = JSON.parse(new TextDecoder().decode(unb64(reply.split(".")[1])));
  const opened = await unseal(pair, sealed, info("lianban.material.v1", hash, "reply", "applicant"));
  const { salt, document } = JSON.parse(new TextDecoder().decode(opened));
  if ((await hashObject(unb64(salt), document)) !== hash) throw new TypeError("not what the department signed");
  return document.reason;
}

// A new delivery key: credentials are sealed to it, and its private half cannot be read out of the browser.
export const newDeliveryKey = () => crypto.subtle.generateKey(SEALING, false, ["deriveBits"]);
export const publicJwk = async (pair) => sealingJwk(b64(await raw(pair.publicKey)));

// The claims of a credential, and what its holder shows (`jwt~disclosure~…~`); each disclosure must stand in the signed part.
export async function openCredential(credential, caseId, pair) {
  const opened = await unseal(pair, credential.sealed, info("lianban.credential.v1", caseId));
  const disclosures = JSON.parse(new TextDecoder().decode(opened));
  const payload = JSON.parse(new TextDecoder().decode(unb64(credential.jwt.split(".")[1])));
  const claims = {};
  for (const disclosure of disclosures) {
    if (!payload._sd.includes(b64(await hashOf(utf8.encode(disclosure))))) throw new TypeError("a foreign disclosure");
    const [, name, value] = JSON.parse(new TextDecoder().decode(unb64(disclosure)));
    claims[name] = value;
  }
  return { payload, claims, presentation: [credential.jwt, ...disclosures, ""].join("~") };
}
