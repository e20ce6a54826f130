// The same messages over WebRTC (docs/webrtc.md): JSON by a data channel, faces and voices by tracks.

import { VERSION, pack } from './protocol.js';

const PART = 50_000, MORE = 1; // bytes of a binary message, and the flag of one of which more comes
const GATHER = 3000; // ms after which the addresses that were found must do
const SIDE = 448, RATE = 25, BITS = 500_000; // of the user's pictures: more is not looked at, and costs to encode

/** A link whose faces and voices are tracks. Beside `Link` of protocol.js it has `tracks` of the avatar and `carry`. */
export class RtcLink extends EventTarget {
  up = 0;
  down = 0;
  ended = false;
  tracks = null; // {audio, video}
  #connection = null;
  #channel = null;
  #senders = null;
  #timer = 0;

  constructor(token) {
    super();
    this.#open(token).catch(() => this.#close());
  }

  async #open(token) {
    const { iceServers } = await this.#post('ice', token);
    if (this.ended) return;
    const connection = this.#connection = new RTCPeerConnection({ iceServers });
    const [audio, video] = ['audio', 'video'].map((kind) => connection.addTransceiver(kind, { direction: 'sendrecv' }));
    this.#senders = { audio: audio.sender, video: video.sender };
    this.tracks = { audio: audio.receiver.track, video: video.receiver.track };
    this.#channel = connection.createDataChannel(VERSION);
    this.#channel.onmessage = ({ data }) => this.#receive(data);
    this.#channel.onclose = () => this.#close();
    connection.onconnectionstatechange = () => connection.connectionState === 'failed' && this.#close();
    await connection.setLocalDescription();
    await gathered(connection);
    await connection.setRemoteDescription(await this.#post('offer', token, connection.localDescription));
    this.#timer = setInterval(() => this.#count(), 1000);
  }

  async #post(what, token, body = {}) {
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch(`webrtc/${what}`, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error('refused');
    return answer.json();
  }

  get open() {
    return this.#channel?.readyState === 'open';
  }

  get waiting() {
    return this.#channel?.bufferedAmount ?? 0;
  }

  /** Sends a track of the user from here on, or none. */
  async carry(kind, track) {
    const sender = this.#senders?.[kind];
    try {
      await sender?.replaceTrack(track);
      if (!track || kind !== 'video') return;
      const { width = SIDE, height = SIDE } = track.getSettings(), parameters = sender.getParameters();
      const scaleResolutionDownBy = Math.max(1, Math.max(width, height) / SIDE);
      parameters.degradationPreference = 'maintain-framerate';
      for (const one of parameters.encodings) {
        Object.assign(one, { scaleResolutionDownBy, maxFramerate: RATE, maxBitrate: BITS });
      }
      await sender.setParameters(parameters);
    } catch {
      // as the browser sends by itself
    }
  }

  async #count() {
    for (const one of (await this.#connection.getStats()).values()) {
      if (one.type === 'transport') Object.assign(this, { up: one.bytesSent, down: one.bytesReceived });
    }
  }

  #receive(data) {
    let message = null;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (message?.type === 'closed') this.#close();
    else if (message && typeof message.type === 'string') this.dispatchEvent(new CustomEvent('json', { detail: message }));
  }

  #close() {
    clearInterval(this.#timer);
    this.#connection?.close();
    if (this.ended) return;
    this.ended = true;
    this.dispatchEvent(new Event('closed'));
  }

  json(message) {
    if (this.open) this.#channel.send(JSON.stringify(message));
  }

  binary(kind, generation, number, seconds, payload) {
    for (let from = 0; from < payload.byteLength; from += PART) {
      const bytes = pack(kind, generation, number, seconds, payload.slice(from, from + PART));
      new Uint8Array(bytes)[1] = from + PART < payload.byteLength ? MORE : 0;
      if (this.open) this.#channel.send(bytes);
    }
  }

  /** Closes without a `closed` event: we wanted it. */
  close() {
    this.ended = true;
    setTimeout(() => this.#close(), 100); // what was sent last still goes
  }
}

function gathered(connection) {
  return new Promise((done) => {
    const look = () => connection.iceGatheringState === 'complete' && done();
    connection.onicegatheringstatechange = look;
    setTimeout(done, GATHER);
    look();
  });
}
