// By which algorithms the pages hash, sign and seal: the browser's half of orchestrator/domain/suite.py, and the only script that
// names them.

// Hashing
export const HASH_NAME = "sha-256";
const HASH = "SHA-256";
export const digest = async (bytes) => new Uint8Array(await crypto.subtle.digest(HASH, bytes));

async function hmac(key, data) {
  // WebCrypto takes no empty key; HMAC pads keys with zeros, so 32 of them are the same.
  const raw = key.length ? key : new Uint8Array(32);
  const imported = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: HASH }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, data));
}

// Signing
export const SIGNING_ALG = "ES256";
export const SIGNING = { name: "ECDSA", namedCurve: "P-256", hash: HASH };

// Sealing: HPKE base mode (RFC 9180), DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM
export const SEALING_KEY = "X25519";
export const SEALING = { name: SEALING_KEY };
export const sealingJwk = (x) => ({ kty: "OKP", crv: SEALING_KEY, x });
export const ENCAPSULATED = 32; // bytes of `enc`
const KEM = Uint8Array.of(75, 69, 77, 0x00, 0x20); // "KEM", the mechanism
const HPKE = Uint8Array.of(72, 80, 75, 69, 0x00, 0x20, 0x00, 0x01, 0x00, 0x02); // "HPKE", mechanism, derivation, cipher
const utf8 = new TextEncoder();

export function concat(...parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const extract = (salt, suite, label, ikm) => hmac(salt, concat(utf8.encode("HPKE-v1"), suite, utf8.encode(label), ikm));

async function expand(prk, suite, label, info, length) {
  const labelled = concat(Uint8Array.of(0, length), utf8.encode("HPKE-v1"), suite, utf8.encode(label), info);
  return (await hmac(prk, concat(labelled, Uint8Array.of(1)))).slice(0, length); // one block: length is 32 at most
}

// What one public and one private key have in common. Throws for a key of small order: WebCrypto refuses the all-zero secret.
export const agreed = async (publicRaw, privateKey) => {
  const other = await crypto.subtle.importKey("raw", publicRaw, SEALING, false, []);
  return new Uint8Array(await crypto.subtle.deriveBits({ ...SEALING, public: other }, privateKey, 256));
};

// [algorithm, key] with which WebCrypto encrypts or decrypts, for what was agreed.
export async function cipher(dh, enc, recipient, info, usage) {
  const none = new Uint8Array(0);
  const shared = await expand(await extract(none, KEM, "eae_prk", dh), KEM, "shared_secret", concat(enc, recipient), 32);
  const context = concat(
    Uint8Array.of(0), // base mode
    await extract(none, HPKE, "psk_id_hash", none),
    await extract(none, HPKE, "info_hash", info),
  );
  const secret = await extract(shared, HPKE, "secret", none);
  const key = await expand(secret, HPKE, "key", context, 32);
  const iv = await expand(secret, HPKE, "base_nonce", context, 12);
  return [{ name: "AES-GCM", iv }, await crypto.subtle.importKey("raw", key, "AES-GCM", false, [usage])];
}
