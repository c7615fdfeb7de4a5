// An independent peer: written from docs/protocol.md, shares no code with the Python node.
// It takes commands as JSON lines on standard input and answers each with one JSON line.
import './polyfill.mjs'
import readline from 'node:readline'
import { noise } from '@libp2p/noise'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import {
  blakeRoot, blobId, chainId, hex, nearest, number, openEnvelope, pack, place, unhex, unpack, valueId,
} from './codec.mjs'
import { request, serve } from './wire.mjs'

const CHUNK = 1_048_576
const HELLO = ['version', 'network', 'params', 'chain_id', 'time', 'agent', 'roles', 'addrs']
const MIB = 1024 * 1024

const blobs = new Map() // hex id -> body
const heard = [] // what gossip brought and held up: {kind, author, body}
const refused = []
let node, world

async function start ({ network, params, chain_id: chain, topic }) {
  world = { network: unhex(network), params: unhex(params), chain, topic }
  node = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      ping: ping(),
      pubsub: gossipsub({ allowPublishToZeroTopicPeers: true, globalSignaturePolicy: 'StrictSign' }),
    },
  })
  await serve(node, '/openledger/hello/1', 4096, async (body) => {
    unpack(body, HELLO)
    return pack([hello(), ''])
  })
  await serve(node, '/openledger/peers/1', 16, async () => pack([[]]))
  await serve(node, '/openledger/manifest/1', 64, async (body) => pack(manifest(held(unpack(body)[0]))))
  await serve(node, '/openledger/chunk/1', 64, async (body) => {
    const [blob, index] = unpack(body)
    const whole = held(blob)
    if (!(index >= 0 && index < Math.ceil(whole.length / CHUNK))) throw new Error('no-chunk')
    return whole.slice(Number(index) * CHUNK, (Number(index) + 1) * CHUNK)
  })
  node.services.pubsub.addEventListener('message', ({ detail }) => hear(detail))
  node.services.pubsub.subscribe(world.topic)
  return { peer_id: node.peerId.toString(), addrs: node.getMultiaddrs().map(String) }
}

function hello () {
  const now = Math.floor(Date.now() / 1000)
  const addrs = node.getMultiaddrs().map(String).slice(0, 8)
  return [1, world.network, world.params, world.chain, now, 'interop-js/1', 0, addrs]
}

function held (id) {
  const body = blobs.get(hex(id))
  if (!body) throw new Error('no-blob')
  return body
}

function manifest (body) {
  const chunks = []
  for (let at = 0; at < body.length; at += CHUNK) chunks.push(blobId(body.slice(at, at + CHUNK)))
  return [body.length, chunks]
}

function hear ({ topic, data }) {
  if (topic !== world.topic) return
  try {
    const envelope = openEnvelope(data)
    if (hex(envelope.network) !== hex(world.network)) throw new Error('wrong-network')
    heard.push(envelope)
  } catch (error) {
    refused.push(error.message)
  }
}

async function connect ({ addr }) {
  const connection = await node.dial(multiaddr(addr))
  const latency = await node.services.ping.ping(connection.remotePeer)
  const [theirs, refusal] = unpack(await request(connection, '/openledger/hello/1', pack(hello()), 4096))
  const answer = Object.fromEntries(HELLO.map((name, i) => [name, theirs[i]]))
  const same = hex(answer.network) === hex(world.network) && hex(answer.params) === hex(world.params)
  return { peer: connection.remotePeer.toString(), refusal, agent: answer.agent, same, latency }
}

async function hears ({ kind }) {
  const found = heard.filter((envelope) => envelope.kind === kind)
  return { envelopes: found.map((e) => ({ author: hex(e.author), body: hex(e.body) })), refused }
}

async function hinted () {
  const hints = heard.filter((e) => e.kind === 'BlobHint').flatMap((e) => unpack(e.body)[0])
  return { blobs: [...new Set(hints.map(hex))] }
}

function connected (peer) {
  const connection = node.getConnections().find((each) => each.remotePeer.toString() === peer)
  if (!connection) throw new Error(`no connection to ${peer}`)
  return connection
}

// Who holds a shard, as one keeper knows it; the peers near to it must come nearest first.
async function providers ({ peer, shard }) {
  const key = unhex(shard)
  const answer = await request(connected(peer), '/openledger/providers/1', pack([key]), 4096)
  const { holders, nearer } = unpack(answer, ['holders', 'nearer'])
  if (hex(pack(nearest(key, nearer))) !== hex(pack(nearer))) throw new Error('not by distance')
  return { holders: holders.map(hex), nearer: nearer.map(hex) }
}

// A blob, its manifest and each chunk checked; kept and served from then on.
async function fetch ({ peer, blob }) {
  const connection = connected(peer)
  const id = unhex(blob)
  const [size, chunks] = unpack(await request(connection, '/openledger/manifest/1', pack([id]), MIB))
  const parts = []
  for (const [index, digest] of chunks.entries()) {
    const part = await request(connection, '/openledger/chunk/1', pack([id, index]), CHUNK)
    if (hex(blobId(part)) !== hex(digest)) throw new Error(`lying-chunk ${index}`)
    parts.push(part)
  }
  const body = Buffer.concat(parts)
  if (body.length !== size || hex(blobId(body)) !== blob) throw new Error('lying-manifest')
  blobs.set(blob, new Uint8Array(body))
  return { size: body.length, chunks: chunks.length }
}

// A revealed shard against its commitment on chain: ids, Merkle root, commitment, training records.
async function verify ({ reveal, commitment }) {
  const [shard, salt, ids, training, sealed] = unpack(blobs.get(reveal))
  if (hex(chainId('openledger/shard', pack(shard), salt)) !== commitment) throw new Error('not the commitment')
  const root = shard[2]
  if (hex(blakeRoot(ids)) !== hex(root)) throw new Error('the ids do not have the committed root')
  const [records] = unpack(blobs.get(hex(training)))
  const known = new Set(ids.map(hex))
  const texts = records.map((record) => hex(valueId('openledger/record', pack(record))))
  if (texts.some((id) => !known.has(id))) throw new Error('a training record was not committed')
  return { owner: hex(shard[0]), records: ids.length, training: records.length, sealed: hex(sealed), first: records[0] }
}

// What this implementation makes of tests/vectors/protocol.json.
async function vectors ({ file }) {
  const whole = Uint8Array.from({ length: file.manifest.size }, (_, i) => i % 251)
  return {
    values: file.values.map((packed) => hex(pack(unpack(unhex(packed))))),
    integers: file.values.slice(0, file.integers.length).map((packed) => String(unpack(unhex(packed))[0])),
    record: { ...file.record, id: hex(valueId('openledger/record', unhex(file.record.packed))) },
    value_ids: file.value_ids.map((each) => ({ ...each, id: hex(valueId(each.purpose, unhex(each.packed))) })),
    chain_id: hex(chainId('openledger/test', number(7, 4), new Uint8Array(0))),
    trees: file.trees.map(({ leaves }) => ({ leaves, root: hex(blakeRoot(leaves.map(unhex))) })),
    manifest: { size: whole.length, chunks: manifest(whole)[1].map(hex) },
    providers: table(file.providers),
    kinds: file.envelopes.map((each) => openEnvelope(unhex(each)).kind),
    refused: file.refused.map((each) => judged(() => openEnvelope(unhex(each)).kind)),
  }
}

function table ({ key, peers }) {
  const near = nearest(unhex(key), peers.map(unhex))
  return {
    key,
    place: place(unhex(key)).toString(16).padStart(64, '0'),
    peers,
    nearest: near.map(hex),
    provide: hex(pack([[unhex(key)]])),
    want: hex(pack([unhex(key)])),
    answer: hex(pack([[unhex(peers[0])], near])),
  }
}

// The reason why something is refused, null when it is not.
function judged (act) {
  try {
    act()
    return null
  } catch (error) {
    return error.message
  }
}

// JSON has neither bytes nor big integers
function shown (_, value) {
  if (typeof value === 'bigint') return value.toString()
  return value instanceof Uint8Array ? hex(value) : value
}

async function stop () {
  await node?.stop()
  return {}
}

const COMMANDS = { start, connect, hears, hinted, providers, fetch, verify, vectors, stop }

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { command, ...args } = JSON.parse(line)
  let answer
  try {
    answer = { ok: await COMMANDS[command](args) }
  } catch (error) {
    answer = { error: error.message }
  }
  process.stdout.write(JSON.stringify(answer, shown) + '\n')
  if (command === 'stop') break
}
process.exit(0)
