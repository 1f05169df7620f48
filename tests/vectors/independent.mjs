// Checks the vectors of this folder without any of our code: EIP-712, keccak-256 and signatures by viem, dossier trees by
// @openzeppelin/merkle-tree, SHA-256 by Node, log trees straight from the text of RFC 9162.
//
//   node tests/vectors/independent.mjs [FOLDER]     the folder with contracts/ and protocol/; this one if none is given
//
// Prints {checked: {kind: number of vectors}, failures: ["kind place: what is wrong"…]} and ends with 1 when anything failed.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { SimpleMerkleTree, StandardMerkleTree } from '@openzeppelin/merkle-tree';
import {
  concat, encodeAbiParameters, encodePacked, getContractAddress, hashDomain, hashTypedData, hexToBytes, isAddressEqual,
  keccak256, recoverAddress, recoverTypedDataAddress, stringToHex, toHex,
} from 'viem';
import { privateKeyToAccount, sign } from 'viem/accounts';

const FOLDER = process.argv[2] ?? dirname(fileURLToPath(import.meta.url));
const ENTRY = ['string', 'bytes32', 'bytes32'];
const DOMAIN = {
  EIP712Domain: [
    { name: 'name', type: 'string' }, { name: 'version', type: 'string' },
    { name: 'chainId', type: 'uint256' }, { name: 'verifyingContract', type: 'address' },
  ],
};
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

const checked = {};
const failures = [];

function read(name) {
  return JSON.parse(readFileSync(join(FOLDER, name), 'utf8'));
}

/** Looks at every vector of a kind; a difference or an exception is a failure of that vector. */
async function each(kind, vectors, look) {
  checked[kind] = 0;
  for (const [place, vector] of vectors.entries()) {
    checked[kind] += 1;
    try {
      await look(vector, place);
    } catch (error) {
      failures.push(`${kind} ${place}: ${error.message.split('\n')[0]}`);
    }
  }
}

function same(what, found, expected) {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`${what} is ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
  }
}

// EIP-712

/** A message with its whole numbers as bigints, by the types of its fields. */
function valued(types, struct, message) {
  return Object.fromEntries(types[struct].map(({ name, type }) => [name, valuedAs(types, type, message[name])]));
}

function valuedAs(types, type, value) {
  if (type.endsWith('[]')) return value.map((one) => valuedAs(types, type.slice(0, -2), one));
  if (type in types) return valued(types, type, value);
  return type.startsWith('uint') ? BigInt(value) : value;
}

/** EIP-712's encodeType, with the structs that a type uses behind it. */
function encodeType(types, struct) {
  const used = types[struct].map(({ type }) => type.replace('[]', '')).filter((type) => type in types);
  const one = (name) => `${name}(${types[name].map((field) => `${field.type} ${field.name}`).join(',')})`;
  return [struct, ...used.sort()].map(one).join('');
}

async function statements() {
  const { types, typeHashes, domains, keys, cases } = read('contracts/eip712.json');
  const all = { ...DOMAIN, ...types };
  const texts = Object.keys(all).map((struct) => encodeType(all, struct));
  await each('typeHashes', typeHashes, ({ type, hash }) => {
    same('the hash', keccak256(stringToHex(type)), hash);
    same('being one of the types', texts.includes(type), true);
  });
  await each('domains', domains, ({ chainId, verifyingContract, separator }) => {
    const domain = { name: 'Lianban', version: '1', chainId: BigInt(chainId), verifyingContract };
    same('the separator', hashDomain({ domain, types: DOMAIN }), separator);
  });
  await each('statements', cases, async (vector) => {
    const used = { [vector.struct]: types[vector.struct] };
    if (vector.struct === 'Sheet') used.Transition = types.Transition;
    const typed = {
      domain: { ...vector.domain, chainId: BigInt(vector.domain.chainId) },
      types: used,
      primaryType: vector.struct,
      message: valued(used, vector.struct, vector.message),
    };
    same('the digest', hashTypedData(typed), vector.digest);
    same('the signer', await recoverTypedDataAddress({ ...typed, signature: vector.signature }), vector.signer);
    same('the signer of the key', privateKeyToAccount(keys[vector.signer]).address, vector.signer);
    // RFC 6979: there is one signature of a key over a digest.
    same('the signature', await sign({ hash: vector.digest, privateKey: keys[vector.signer], to: 'hex' }), vector.signature);
  });
  await each('signatures', read('contracts/signatures.json'), async ({ digest, signer, signature }) => {
    same('being a signature', await isSignature(digest, signer, signature), false);
  });
  const { deployer, contracts } = read('contracts/calls.json');
  await each('addresses', Object.values(contracts), (address, place) => {
    same('the deployer', privateKeyToAccount(deployer.key).address, deployer.address);
    same('the address', getContractAddress({ from: deployer.address, nonce: BigInt(place) }), address);
  });
}

/** What OpenZeppelin's ECDSA takes: 65 bytes, v 27 or 28, s in the lower half. viem itself is less strict. */
async function isSignature(digest, signer, signature) {
  const bytes = hexToBytes(signature);
  if (bytes.length !== 65 || ![27, 28].includes(bytes[64])) return false;
  if (BigInt(toHex(bytes.slice(32, 64))) > ORDER / 2n) return false;
  try {
    return isAddressEqual(await recoverAddress({ hash: digest, signature }), signer);
  } catch {
    return false;
  }
}

async function cases() {
  const { steps, unknown, commitments } = read('contracts/cases.json');
  await each('steps', [...steps, ...unknown], ({ status, sequence, binding, step }) => {
    same('the step', String(BigInt(encodePacked(['uint8', 'uint16', 'uint40'], [status, sequence, binding]))), String(step));
  });
  await each('commitments', commitments, ({ transitions, commitments: after }) => {
    let commitment = 0n;
    const found = transitions.map(({ step, root }) => {
      const words = [{ type: 'uint192' }, { type: 'uint64' }, { type: 'bytes32' }];
      commitment = BigInt(keccak256(encodeAbiParameters(words, [commitment, BigInt(step), root]))) % 2n ** 192n;
      return String(commitment);
    });
    same('the commitments', found, after);
  });
}

// Dossiers

function row({ kind, salt, content }) {
  return [kind, salt, content];
}

async function dossiers() {
  await each('dossiers', read('contracts/dossier.json'), ({ leaves, root }) => {
    const tree = StandardMerkleTree.of(leaves.map(row), ENTRY);
    same('the root', tree.root, root);
    for (const leaf of leaves) {
      same('a hash', tree.leafHash(row(leaf)), leaf.hash);
      same('a proof', tree.getProof(row(leaf)), leaf.proof);
    }
  });
  const { entries, trees, refused } = read('contracts/merkle.json');
  const any = StandardMerkleTree.of([row(entries[0])], ENTRY);
  await each('entries', entries, (entry) => same('the hash', any.leafHash(row(entry)), entry.hash));
  await each('trees', trees, ({ size, root, proofs }) => {
    const tree = StandardMerkleTree.of(entries.slice(0, size).map(row), ENTRY);
    same('the root', tree.root, root);
    // The tree over the hashes themselves is the same, and knows nothing of kinds and salts.
    const hashes = entries.slice(0, size).map(({ hash }) => hash);
    same('the root over the hashes', SimpleMerkleTree.of(hashes).root, root);
    for (const { at, proof } of proofs) {
      same(`the proof of ${at}`, tree.getProof(row(entries[at])), proof);
      same(`the proof of ${at} holding`, StandardMerkleTree.verify(root, ENTRY, row(entries[at]), proof), true);
    }
  });
  await each('refusedEntries', refused, ({ root, entry, proof }) => {
    same('the proof holding', StandardMerkleTree.verify(root, ENTRY, row(entry), proof), false);
  });
}

// RFC 9162. Byte strings are Buffers; sizes and places are bigints.

function sha256(...parts) {
  return createHash('sha256').update(Buffer.concat(parts)).digest();
}

function bytes(hex) {
  return Buffer.from(hex.slice(2), 'hex');
}

function hexed(buffer) {
  return `0x${buffer.toString('hex')}`;
}

/** 2.1.1: "let k be the largest power of two smaller than n". */
function largestPowerBelow(n) {
  let k = 1n;
  while (k * 2n < n) k *= 2n;
  return k;
}

/** MTH(D[start:end]), 2.1.1. `known` gives the hash of a leaf or of a subtree whose leaves are not told, or nothing. */
function treeHash(known, start, end) {
  if (start === end) return sha256();
  const found = known(start, end);
  if (found) return found;
  const middle = start + largestPowerBelow(end - start);
  return sha256(Buffer.from([1]), treeHash(known, start, middle), treeHash(known, middle, end));
}

/** PATH(m, D[start:end]), 2.1.3.1. */
function path(known, m, start, end) {
  if (end - start === 1n) return [];
  const k = largestPowerBelow(end - start);
  const middle = start + k;
  if (m < k) return [...path(known, m, start, middle), treeHash(known, middle, end)];
  return [...path(known, m - k, middle, end), treeHash(known, start, middle)];
}

/** SUBPROOF(m, D[start:end], b), 2.1.4.1. */
function subproof(known, m, start, end, b) {
  const n = end - start;
  if (m === n) return b ? [] : [treeHash(known, start, end)];
  const k = largestPowerBelow(n);
  const middle = start + k;
  if (m <= k) return [...subproof(known, m, start, middle, b), treeHash(known, middle, end)];
  return [...subproof(known, m - k, middle, end, false), treeHash(known, start, middle)];
}

/** 2.1.3.2, by its numbered steps. */
function verifyInclusion(hash, leafIndex, treeSize, inclusionPath, rootHash) {
  if (leafIndex >= treeSize) return false; // 1
  let fn = leafIndex; // 2
  let sn = treeSize - 1n;
  let r = hash; // 3
  for (const p of inclusionPath) { // 4
    if (sn === 0n) return false;
    if (fn % 2n === 1n || fn === sn) {
      r = sha256(Buffer.from([1]), p, r);
      if (fn % 2n === 0n) {
        do {
          fn >>= 1n;
          sn >>= 1n;
        } while (fn % 2n === 0n && fn !== 0n);
      }
    } else {
      r = sha256(Buffer.from([1]), r, p);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n && r.equals(rootHash); // 5
}

/** 2.1.4.2, by its numbered steps; for trees of which the first is smaller and not empty. */
function verifyConsistency(first, firstHash, second, secondHash, given) {
  if (!(first > 0n && first < second) || given.length === 0) return false; // 1
  const consistencyPath = (first & (first - 1n)) === 0n ? [firstHash, ...given] : given; // 2
  let fn = first - 1n; // 3
  let sn = second - 1n;
  while (fn % 2n === 1n) { // 4
    fn >>= 1n;
    sn >>= 1n;
  }
  let fr = consistencyPath[0]; // 5
  let sr = consistencyPath[0];
  for (const c of consistencyPath.slice(1)) { // 6
    if (sn === 0n) return false;
    if (fn % 2n === 1n || fn === sn) {
      fr = sha256(Buffer.from([1]), c, fr);
      sr = sha256(Buffer.from([1]), c, sr);
      if (fn % 2n === 0n) {
        do {
          fn >>= 1n;
          sn >>= 1n;
        } while (fn % 2n === 0n && fn !== 0n);
      }
    } else {
      sr = sha256(Buffer.from([1]), sr, c);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  return fr.equals(firstHash) && sr.equals(secondHash) && sn === 0n; // 7
}

function bigEndian(value, length) {
  return Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex');
}

/** The log whose leaf i is i in so many bytes, or a subtree that `subtrees` tells. */
function logOf(length, subtrees = []) {
  const hashes = new Map();
  for (const { level, index, hash } of subtrees) {
    const start = BigInt(index) << BigInt(level);
    hashes.set(`${start} ${start + (1n << BigInt(level))}`, bytes(hash));
  }
  return (start, end) => {
    const key = `${start} ${end}`;
    if (hashes.has(key)) return hashes.get(key);
    if (end - start !== 1n) return null;
    hashes.set(key, sha256(Buffer.from([0]), bigEndian(start, length)));
    return hashes.get(key);
  };
}

function checkProof(log, roots, { old, new: later, proof }) {
  const [first, second] = [BigInt(old), BigInt(later)];
  same('the proof', subproof(log, first, 0n, second, true).map(hexed), proof);
  same('the proof holding', verifyConsistency(first, roots(first), second, roots(second), proof.map(bytes)), true);
}

function checkPath(log, roots, { index, size, proof }) {
  const [place, leaves] = [BigInt(index), BigInt(size)];
  same('the path', path(log, place, 0n, leaves).map(hexed), proof);
  const leaf = log(place, place + 1n);
  same('the path holding', verifyInclusion(leaf, place, leaves, proof.map(bytes), roots(leaves)), true);
}

async function logs() {
  const { roots, proofs, inclusion, large, refused } = read('contracts/consistency.json');
  const log = logOf(4);
  const root = (size) => bytes(roots[Number(size)]);
  await each('roots', roots, (one, size) => same('the root', hexed(treeHash(log, 0n, BigInt(size))), one));
  await each('proofs', proofs, (one) => checkProof(log, root, one));
  await each('inclusion', inclusion, (one) => checkPath(log, root, one));
  await each('large', large, (one) => {
    const own = logOf(8, one.subtrees);
    const ownRoots = new Map(one.roots.map(({ size, root: said }) => [BigInt(size), bytes(said)]));
    for (const [size, said] of ownRoots) same(`root ${size}`, hexed(treeHash(own, 0n, size)), hexed(said));
    for (const each of one.proofs) checkProof(own, (size) => ownRoots.get(size), each);
    for (const each of one.inclusion) checkPath(own, (size) => ownRoots.get(size), each);
  });
  await each('refusedProofs', refused.proofs, ({ old, oldRoot, new: later, newRoot, proof }) => {
    const holds = verifyConsistency(BigInt(old), bytes(oldRoot), BigInt(later), bytes(newRoot), proof.map(bytes));
    same('the proof holding', holds, false);
  });
  await each('refusedPaths', refused.inclusion, ({ leaf, index, size, root: said, proof }) => {
    const holds = verifyInclusion(bytes(leaf), BigInt(index), BigInt(size), proof.map(bytes), bytes(said));
    same('the path holding', holds, false);
  });
}

// Canonical JSON and the hashes of messages

/** RFC 8785: what JSON.stringify writes, with members sorted by UTF-16 units, which is how JavaScript sorts. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
}

function sha256Hex(...parts) {
  return hexed(sha256(...parts.map((part) => Buffer.from(part))));
}

function tagged(tag, ...parts) {
  return keccak256(concat([keccak256(stringToHex(tag)), ...parts]));
}

function thumbprint(jwk) {
  const needed = { EC: ['crv', 'kty', 'x', 'y'], OKP: ['crv', 'kty', 'x'] }[jwk.kty];
  return sha256(Buffer.from(canonical(Object.fromEntries(needed.map((name) => [name, jwk[name]]))))).toString('base64url');
}

const HASHES = {
  tagged: (one) => [tagged(one.tag, ...one.parts), one.hash],
  mandate: (one) => [sha256Hex(one.token), one.hash],
  case: (one) => [tagged('lianban.case.v1', sha256Hex(one.mandate)), one.id],
  question: ({ mandate, item, index, purpose, id }) => [
    tagged('lianban.question.v1', mandate, sha256Hex(item), toHex(index, { size: 32 }), sha256Hex(purpose)), id,
  ],
  subject: ({ salt, type, id, commitment }) => [
    sha256Hex('lianban.subject.v1\0', bytes(salt), type, '\0', id), commitment,
  ],
  object: ({ salt, json, hash }) => [
    sha256Hex('lianban.object.v1\0', bytes(salt), canonical(JSON.parse(json))), hash,
  ],
  version: (one) => [sha256Hex(canonical(one.document)), one.hash],
  texts: (one) => [sha256Hex(canonical(one.document)), one.hash],
  keyset: (one) => [keccak256(stringToHex(canonical(JSON.parse(one.json)))), one.hash],
  thumbprint: (one) => [thumbprint(one.jwk), one.thumbprint],
  disclosure: (one) => [sha256(Buffer.from(one.disclosure)).toString('base64url'), one.digest],
  sealed: (one) => [sha256Hex(Buffer.from(one.blob, 'base64url')), one.hash],
  entry: ({ batch, question, attempt, entry, leaf }) => [
    [canonical({ question, batch, attempt }), sha256Hex([0], entry)], [entry, leaf],
  ],
};

async function messages() {
  const { numbers, texts } = read('protocol/canonical.json');
  await each('numbers', numbers, (one) => {
    same('the form', canonical(Buffer.from(one.double, 'hex').readDoubleBE()), one.canonical);
  });
  await each('texts', texts, (one) => {
    same('the form', canonical(JSON.parse(one.text)), one.canonical);
    same('the hash', sha256Hex(one.canonical), one.sha256);
  });
  for (const [kind, vectors] of Object.entries(read('protocol/hashes.json'))) {
    await each(`hashes.${kind}`, vectors, (one) => same('the hash', ...HASHES[kind](one)));
  }
}

for (const part of [statements, cases, dossiers, logs, messages]) await part();
console.log(JSON.stringify({ checked, failures }));
process.exitCode = failures.length === 0 ? 0 : 1;
