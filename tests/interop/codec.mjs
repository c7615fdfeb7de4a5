// Canonical MessagePack, hashes and signatures of docs/protocol.md, sections "Values", "Ids and hashes", "Messages".
import { decode, encode, ExtData, ExtensionCodec } from '@msgpack/msgpack'
import { ed25519 } from '@noble/curves/ed25519.js'
import { blake3 } from '@noble/hashes/blake3.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'

export { bytesToHex as hex, hexToBytes as unhex, concatBytes as join, utf8ToBytes as utf8 }

const BIG = 1
const extensionCodec = new ExtensionCodec()
extensionCodec.register({ type: BIG, encode: () => null, decode: fromTwosComplement })

function fits64 (value) {
  return value >= -(2n ** 63n) && value < 2n ** 64n
}

// as short as it goes: one bit is left for the sign
function twosComplement (value) {
  const bits = value < 0n ? (-value - 1n).toString(2).length : value.toString(2).length
  const size = Math.floor(bits / 8) + 1
  const word = BigInt.asUintN(size * 8, value).toString(16).padStart(size * 2, '0')
  return hexToBytes(word)
}

function fromTwosComplement (bytes) {
  if (bytes.length <= 8 || bytes.length > 33) throw new Error(`extension 1 of ${bytes.length} bytes`)
  return BigInt.asIntN(bytes.length * 8, BigInt('0x' + bytesToHex(bytes)))
}

// The library writes a bigint in 9 bytes and a number of more than 32 bits as a float: each value gets the
// type that is written shortest.
function shortest (value) {
  if (typeof value === 'number' && Number.isInteger(value)) value = BigInt(value)
  if (typeof value === 'bigint') {
    if (value >= -(2n ** 31n) && value < 2n ** 32n) return Number(value)
    return fits64(value) ? value : new ExtData(BIG, twosComplement(value))
  }
  return Array.isArray(value) ? value.map(shortest) : value
}

const options = { extensionCodec, useBigInt64: true }

export function pack (value) {
  return encode(shortest(value), options)
}

// One value has one encoding: whatever does not come out again is refused.
export function unpack (bytes, fields) {
  const value = decode(bytes, options)
  if (bytesToHex(pack(value)) !== bytesToHex(bytes)) throw new Error('not-canonical')
  if (!fields) return value
  if (!Array.isArray(value) || value.length !== fields.length) throw new Error('wrong-shape')
  return Object.fromEntries(fields.map((name, i) => [name, value[i]]))
}

export const blobId = (body) => blake3(body)
export const valueId = (purpose, packed) => blake3(concatBytes(utf8ToBytes(purpose), new Uint8Array([0]), packed))

export function chainId (purpose, ...parts) {
  const prefixed = parts.flatMap((part) => [number(part.length, 4), part])
  return keccak_256(concatBytes(utf8ToBytes(purpose), new Uint8Array([0]), ...prefixed))
}

export const place = (name) => BigInt('0x' + bytesToHex(sha256(name)))

// Those of the names that are nearest to a key: the XOR of two places is their distance.
export function nearest (key, names, count = 8) {
  const distance = (name) => place(name) ^ place(key)
  return [...names].sort((a, b) => (distance(a) < distance(b) ? -1 : 1)).slice(0, count)
}

export function number (value, size) {
  return hexToBytes(BigInt(value).toString(16).padStart(size * 2, '0'))
}

export function merkleRoot (leaves, hash) {
  let level = leaves.map((leaf) => hash(concatBytes(new Uint8Array([0]), leaf)))
  while (level.length > 1) {
    const next = []
    for (let i = 0; i + 1 < level.length; i += 2) next.push(hash(concatBytes(new Uint8Array([1]), level[i], level[i + 1])))
    if (level.length % 2) next.push(level.at(-1))
    level = next
  }
  return hash(concatBytes(new Uint8Array([2]), number(leaves.length, 8), level[0]))
}

export const blakeRoot = (leaves) => merkleRoot(leaves, blake3)

const ENVELOPE = ['version', 'network', 'kind', 'author', 'epoch', 'issued', 'expires', 'body', 'signature']

// An envelope whose signature holds; throws what is wrong otherwise.
export function openEnvelope (bytes) {
  const envelope = unpack(bytes, ENVELOPE)
  const unsigned = pack(ENVELOPE.map((name) => (name === 'signature' ? new Uint8Array(64) : envelope[name])))
  const signed = concatBytes(utf8ToBytes('openledger/envelope/1'), new Uint8Array([0]), unsigned)
  if (!ed25519.verify(envelope.signature, signed, envelope.author)) throw new Error('bad-signature')
  return envelope
}
