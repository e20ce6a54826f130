// The wire of docs/live.md: heads of binary messages, and the socket with its counters.

export const VERSION = 'afjax.live.1';
export const FPS = 25;
export const RATE = 16000;
export const MIC = 1, CAMERA = 2, PORTRAIT = 3, SOUND = 17, PICTURE = 18;
const HEAD = 16;

/** A binary message: u8 kind, u8 flags, u16 generation, u32 number, f64 seconds, payload; little endian. */
export function pack(kind, generation, number, seconds, payload) {
  const bytes = new Uint8Array(HEAD + payload.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, kind);
  view.setUint16(2, generation, true);
  view.setUint32(4, number, true);
  view.setFloat64(8, seconds, true);
  bytes.set(new Uint8Array(payload), HEAD);
  return bytes.buffer;
}

/** -> {kind, generation, number, seconds, payload}, or null if it is too short. */
export function unpack(buffer) {
  if (buffer.byteLength < HEAD) return null;
  const view = new DataView(buffer);
  return {
    kind: view.getUint8(0),
    generation: view.getUint16(2, true),
    number: view.getUint32(4, true),
    seconds: view.getFloat64(8, true),
    payload: buffer.slice(HEAD),
  };
}

/** Whether generation a came before b; they count around 65536. */
export const older = (a, b) => ((a - b) & 0xffff) > 0x7fff;

/** The token of the address, which never leaves the fragment and the subprotocol. */
export const tokenOf = (hash) => hash.replace(/^#/, '').replace(/^token=/, '');

/** One socket. Events: `json` and `binary` with the message as detail, `closed` once. */
export class Link extends EventTarget {
  up = 0;
  down = 0;
  ended = false;
  #socket;

  constructor(token) {
    super();
    const url = new URL('live', location.href.split('#')[0]);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    url.search = '';
    this.#socket = new WebSocket(url, [VERSION, `token.${token}`]);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onclose = () => this.#close();
  }

  get open() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** Bytes that wait for the network: who sends pictures looks at it first. */
  get waiting() {
    return this.#socket.bufferedAmount;
  }

  #receive(data) {
    if (typeof data !== 'string') {
      this.down += data.byteLength;
      const message = unpack(data);
      if (message) this.dispatchEvent(new CustomEvent('binary', { detail: message }));
      return;
    }
    this.down += data.length;
    let message = null;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (message && typeof message.type === 'string') this.dispatchEvent(new CustomEvent('json', { detail: message }));
  }

  #close() {
    if (this.ended) return;
    this.ended = true;
    this.dispatchEvent(new Event('closed'));
  }

  json(message) {
    this.#send(JSON.stringify(message));
  }

  binary(kind, generation, number, seconds, payload) {
    this.#send(pack(kind, generation, number, seconds, payload));
  }

  #send(data) {
    if (!this.open) return;
    this.up += data.length ?? data.byteLength;
    this.#socket.send(data);
  }

  /** Closes without a `closed` event: we wanted it. */
  close() {
    this.ended = true;
    this.#socket.close();
  }
}
