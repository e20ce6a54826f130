// On the audio thread: the microphone in chunks of 20 ms, and a player that sounds at exact times.

const RATE = 16000, FRAME = 640;
const TAPS = 16, PHASES = 256;

/** Windowed sinc, one row of taps for each of 256 positions between two samples: 16 kHz to any rate. */
const KERNEL = (() => {
  const table = new Float32Array((PHASES + 1) * TAPS);
  for (let phase = 0; phase <= PHASES; phase++) {
    for (let tap = 0; tap < TAPS; tap++) {
      const x = tap - (TAPS / 2 - 1) - phase / PHASES;
      const window = Math.cos((Math.PI * x) / TAPS) ** 2;
      table[phase * TAPS + tap] = x === 0 ? 1 : (Math.sin(Math.PI * x) / (Math.PI * x)) * window;
    }
  }
  return table;
})();

/** Sends {at, peak, pcm}: seconds of the context at the first sample, loudest sample, s16. */
class Microphone extends AudioWorkletProcessor {
  #chunk = new Int16Array(Math.round(sampleRate / 50));
  #filled = 0;
  #at = 0;
  #peak = 0;

  process([input]) {
    const samples = input[0];
    if (!samples) return true;
    for (let n = 0; n < samples.length; n++) {
      if (this.#filled === 0) this.#at = currentTime + n / sampleRate;
      const value = Math.max(-1, Math.min(1, samples[n]));
      this.#peak = Math.max(this.#peak, Math.abs(value));
      this.#chunk[this.#filled++] = Math.round(value * 32767);
      if (this.#filled === this.#chunk.length) this.#send();
    }
    return true;
  }

  #send() {
    const pcm = this.#chunk.slice().buffer;
    this.port.postMessage({ at: this.#at, peak: this.#peak, pcm }, [pcm]);
    this.#filled = this.#peak = 0;
  }
}

const SIZE = 1 << 18, MASK = SIZE - 1; // 16 s
const FADE = RATE / 200; // 5 ms

/**
 * A ring of 16 kHz sound that is addressed by time: sample k of frame n is heard at start + offset + n / 25 + k / 16000.
 *
 * Messages: {begin, offset}, {offset}, {cut: true}, {frame, samples}. What is too late for its time is not played.
 * Sends {silent: seconds of the context} once after a cut, and {missing} frames that had no sound, twice a second.
 */
class Player extends AudioWorkletProcessor {
  #ring = new Float32Array(SIZE);
  #known = new Int32Array(1024).fill(-1);
  #begin = -1;
  #offset = 0;
  #next = null; // an offset to which we go as soon as the sound is faded out
  #gain = 1;
  #cleared = 0;
  #cut = false;
  #counted = 0;
  #missing = 0;
  #heard = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.#take(data);
  }

  #take(data) {
    if (data.begin !== undefined) {
      this.#ring.fill(0);
      this.#known.fill(-1);
      this.#begin = data.begin;
      this.#offset = data.offset;
      this.#cleared = this.#counted = this.#missing = 0;
      this.#heard = false;
    } else if (data.offset !== undefined) {
      if (this.#heard) this.#next = data.offset;
      else this.#offset = data.offset;
    }
    if (data.cut) this.#silence();
    if (data.samples) this.#write(data.frame, new Int16Array(data.samples));
  }

  #position() {
    return (currentTime - this.#begin - this.#offset) * RATE;
  }

  #write(frame, samples) {
    const first = frame * FRAME;
    const now = Math.floor((currentTime - this.#begin - (this.#next ?? this.#offset)) * RATE);
    const from = Math.max(0, now - TAPS - first);
    if (first + samples.length > now + SIZE / 2) return;
    for (let n = from; n < samples.length; n++) this.#ring[(first + n) & MASK] = samples[n] / 32768;
    for (let n = frame; n < frame + samples.length / FRAME; n++) this.#known[n & 1023] = n;
    this.#heard = true;
  }

  #silence() {
    const now = Math.max(0, Math.floor(this.#position()));
    for (let n = 0; n < SIZE - 2 * TAPS; n++) {
      const gain = Math.max(0, 1 - n / FADE);
      this.#ring[(now + n) & MASK] *= gain;
    }
    this.#known.fill(-1);
    this.#cut = true;
    this.#heard = false;
  }

  process(_, [output]) {
    const out = output[0];
    if (this.#begin < 0) return true;
    let loudest = 0;
    for (let n = 0; n < out.length; n++) {
      this.#fade();
      const at = this.#position() + (n * RATE) / sampleRate;
      out[n] = at < 0 ? 0 : this.#sample(at) * this.#gain;
      loudest = Math.max(loudest, Math.abs(out[n]));
    }
    for (let c = 1; c < output.length; c++) output[c].set(out);
    this.#after(loudest);
    return true;
  }

  #fade() {
    const step = 200 / sampleRate;
    if (this.#next !== null) {
      this.#gain -= step;
      if (this.#gain > 0) return;
      this.#offset = this.#next;
      this.#next = null;
      this.#gain = 0;
      this.#counted = Math.floor(this.#position() / FRAME);
    } else if (this.#gain < 1) this.#gain = Math.min(1, this.#gain + step);
  }

  #sample(at) {
    const whole = Math.floor(at);
    const row = Math.round((at - whole) * PHASES) * TAPS;
    let sum = 0;
    for (let tap = 0; tap < TAPS; tap++) sum += this.#ring[(whole + tap - TAPS / 2 + 1) & MASK] * KERNEL[row + tap];
    return sum;
  }

  /** Empties what was played, counts frames without sound, and says when a cut is silent. */
  #after(loudest) {
    const now = Math.floor(this.#position());
    const keep = now - TAPS;
    if (this.#cleared < keep - SIZE) this.#cleared = keep - SIZE;
    while (this.#cleared < keep) this.#ring[this.#cleared++ & MASK] = 0;
    if (this.#cleared > keep) this.#cleared = Math.max(0, keep);
    const frame = Math.floor(now / FRAME);
    if (frame > this.#counted) {
      if (this.#heard && this.#known[frame & 1023] !== frame) this.#missing++;
      this.#counted = frame;
      if (frame % 12 === 0) this.port.postMessage({ missing: this.#missing });
    }
    if (this.#cut && loudest < 1e-4) {
      this.#cut = false;
      this.port.postMessage({ silent: currentTime });
    }
  }
}

registerProcessor('microphone', Microphone);
registerProcessor('player', Player);
