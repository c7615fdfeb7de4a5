// Transport of docs/protocol.md: one request a stream, a varint length before each body, a status byte before each answer.
import { join, utf8 } from './codec.mjs'

const MAX_STATUS = 65

export function frame (body) {
  const prefix = []
  let length = body.length
  while (length > 0x7f) {
    prefix.push((length & 0x7f) | 0x80)
    length = Math.floor(length / 128)
  }
  return join(new Uint8Array([...prefix, length]), body)
}

// The first frame of a stream of byte chunks; the rest of the stream is left unread.
export async function readFrame (chunks, limit) {
  let seen = new Uint8Array(0)
  for await (const chunk of chunks) {
    seen = join(seen, chunk.subarray ? chunk.subarray() : chunk)
    const head = varint(seen)
    if (!head) continue
    if (head.length > limit) throw new Error(`too-large: ${head.length} bytes, limit ${limit}`)
    if (seen.length >= head.size + head.length) return seen.slice(head.size, head.size + head.length)
  }
  throw new Error('bad-frame: the stream ended early')
}

function varint (bytes) {
  let length = 0
  for (let i = 0; i < 5; i++) {
    if (i >= bytes.length) return null
    length += (bytes[i] & 0x7f) * 128 ** i
    if (bytes[i] < 0x80) {
      if (bytes[i] === 0 && i > 0) throw new Error('bad-frame: not the shortest length')
      return { length, size: i + 1 }
    }
  }
  throw new Error('bad-frame: a length of more than five bytes')
}

export async function request (connection, protocol, body, limit) {
  const stream = await connection.newStream(protocol, { signal: AbortSignal.timeout(10_000) })
  stream.send(frame(body))
  const response = await readFrame(stream, limit + 1 + MAX_STATUS)
  await stream.close().catch(() => stream.abort(new Error('done')))
  if (response[0] === 0) return response.slice(1)
  throw new Error('refused: ' + new TextDecoder().decode(response.slice(1)))
}

// Answer every request of a protocol by `answer(body)`; what it throws is the reason code.
export function serve (node, protocol, limit, answer) {
  return node.handle(protocol, async (stream) => {
    let response
    try {
      response = join(new Uint8Array([0]), await answer(await readFrame(stream, limit)))
    } catch (error) {
      response = join(new Uint8Array([1]), utf8(error.message.slice(0, 64)))
    }
    stream.send(frame(response))
    await stream.close()
  })
}
