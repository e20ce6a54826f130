// A recording: both faces in one picture that says how it was made, and both voices.

const HEIGHT = 512;
const TYPES = ['video/webm;codecs=vp8,opus', 'video/webm', 'video/mp4'];
const SIGNING = 60_000;
const SIGNABLE = ['video/mp4;codecs=avc1.42E01E,opus', 'video/mp4;codecs=avc1.42E01E,mp4a.40.2', 'video/mp4'];

export class Tape {
  blob = null;
  /** Whether the server signs recordings, and whether it has signed this one. */
  signs = false;
  signed = false;
  #recorder = null;
  #canvas = document.createElement('canvas');
  #parts = [];

  /** avatar: its canvas; self: the user's video. */
  constructor(avatar, self) {
    Object.assign(this, { avatar, self });
  }

  get on() {
    return this.#recorder !== null;
  }

  static get possible() {
    return typeof MediaRecorder !== 'undefined' && 'captureStream' in HTMLCanvasElement.prototype;
  }

  get suffix() {
    return this.blob?.type.includes('mp4') ? 'mp4' : 'webm';
  }

  start(voices) {
    this.#canvas.width = 2 * HEIGHT;
    this.#canvas.height = HEIGHT;
    this.#parts = [];
    this.draw(true);
    const stream = this.#canvas.captureStream(25);
    stream.addTrack(voices);
    this.signed = false;
    const mimeType = [...(this.signs ? SIGNABLE : []), ...TYPES].find((type) => MediaRecorder.isTypeSupported(type));
    this.#recorder = new MediaRecorder(stream, { mimeType, videoBitsPerSecond: 2_500_000 });
    this.#recorder.ondataavailable = ({ data }) => data.size && this.#parts.push(data);
    this.#recorder.start(1000);
  }

  async stop() {
    const recorder = this.#recorder;
    this.#recorder = null;
    if (!recorder) return;
    await new Promise((done) => {
      recorder.onstop = done;
      recorder.stop();
    });
    recorder.stream.getVideoTracks().forEach((track) => track.stop());
    this.blob = new Blob(this.#parts, { type: recorder.mimeType });
  }

  /** Has the server say in the file that it is generated; without that it stays as it is. */
  async sign(token) {
    const given = this.blob;
    if (!this.signs || this.suffix !== 'mp4') return;
    try {
      const headers = { Authorization: `Bearer ${token}` }, signal = AbortSignal.timeout(SIGNING);
      const answer = await fetch('recording', { method: 'POST', body: given, headers, signal });
      const made = answer.ok ? await answer.blob() : null;
      if (!made || this.blob !== given) return;
      this.blob = made;
      this.signed = true;
    } catch {
      // the server is gone or slow: it stays unsigned
    }
  }

  draw(always = false) {
    if (!this.on && !always) return;
    const context = this.#canvas.getContext('2d', { alpha: false });
    context.fillStyle = '#0d1011';
    context.fillRect(0, 0, 2 * HEIGHT, HEIGHT);
    this.#place(context, this.avatar, this.avatar.width, this.avatar.height, 0);
    if (this.self.srcObject) this.#place(context, this.self, this.self.videoWidth, this.self.videoHeight, HEIGHT);
    context.font = '600 18px system-ui, sans-serif';
    const width = context.measureText('AI-generated').width + 28;
    context.fillStyle = 'rgb(12 15 16 / 72%)';
    context.fillRect(14, HEIGHT - 50, width, 36);
    context.fillStyle = '#fff';
    context.fillText('AI-generated', 28, HEIGHT - 26);
  }

  /** The middle square of a picture. */
  #place(context, source, width, height, left) {
    const side = Math.min(width, height);
    if (!side) return;
    context.drawImage(source, (width - side) / 2, (height - side) / 2, side, side, left, 0, HEIGHT, HEIGHT);
  }
}
