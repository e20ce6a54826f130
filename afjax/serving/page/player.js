// Sound, and the clock of a call: seconds since `begin`, by the AudioContext.

const MAX_LATENCY = 0.3;
const STARTS = 5000; // milliseconds: without a loudspeaker Firefox never settles what resume() promises
const FADE = 0.005, HUSH = 0.25; // seconds: of a cut, and for which what is under way by a track is not heard

export class Sound {
  missing = 0;
  cut_ms = null; // last cut: from the message to silence, by the sound's own clock
  onmic = () => {}; // ({seconds, peak, pcm})
  #start = 0;
  #zero = 0;
  #player;
  #meter;
  #mic = null;
  #tape;
  #voice = null; // of a track
  #cutAt = 0;
  #samples = new Float32Array(256);

  /** Must follow a click: browsers start no sound by themselves. Rejects with 'mute' where none starts. */
  static async open() {
    const context = new AudioContext({ latencyHint: 'interactive' });
    await context.audioWorklet.addModule(new URL('./worklet.js', import.meta.url));
    await Promise.race([context.resume(), new Promise((done) => setTimeout(done, STARTS))]);
    if (context.state !== 'running') {
      context.close().catch(() => {}); // not awaited: this may never settle either
      throw new Error('mute');
    }
    return new Sound(context);
  }

  constructor(context) {
    this.context = context;
    this.#player = new AudioWorkletNode(context, 'player', { numberOfInputs: 0, outputChannelCount: [1] });
    this.#meter = new AnalyserNode(context, { fftSize: 256 });
    this.#tape = new MediaStreamAudioDestinationNode(context);
    this.#player.connect(this.#meter).connect(context.destination);
    this.#player.connect(this.#tape);
    this.#player.port.onmessage = ({ data }) => {
      if (data.missing !== undefined) this.missing = data.missing;
      if (data.silent !== undefined) this.cut_ms = 1000 * Math.max(0, data.silent - this.#cutAt);
    };
  }

  get rate() {
    return this.context.sampleRate;
  }

  /** Seconds from a sample's time in the context to the ear. */
  get latency() {
    return Math.min(MAX_LATENCY, this.context.outputLatency || this.context.baseLatency || 0);
  }

  /** Both voices, for a recording. */
  get tape() {
    return this.#tape.stream.getAudioTracks()[0];
  }

  begin(offset) {
    this.#start = this.context.currentTime;
    this.#zero = performance.now();
    this.missing = 0;
    this.#player.port.postMessage({ begin: this.#start, offset });
  }

  /** Seconds since `begin`. */
  now() {
    return this.context.currentTime - this.#start;
  }

  /** Seconds since `begin` of what is heard at this moment: pictures follow it. */
  heard() {
    return this.now() - this.latency;
  }

  /** The page's clock at a moment of performance.now(). */
  at(milliseconds) {
    return this.now() - (performance.now() - milliseconds) / 1000;
  }

  /** As `now`, of the finer clock: for stamps of messages. */
  stamp() {
    return (performance.now() - this.#zero) / 1000;
  }

  play(frame, samples) {
    this.#player.port.postMessage({ frame, samples }, [samples]);
  }

  /** Plays a track from here on, or none; what comes through `play` is heard beside it. */
  follow(track) {
    this.#voice?.source.disconnect();
    this.#voice?.gain.disconnect();
    this.#voice = null;
    if (!track) return;
    const stream = new MediaStream([track]);
    const source = new MediaStreamAudioSourceNode(this.context, { mediaStream: stream });
    const gain = new GainNode(this.context);
    source.connect(gain).connect(this.#meter);
    gain.connect(this.#tape);
    const pump = new Audio(); // Chromium decodes a track only where an element plays it
    pump.muted = true;
    pump.srcObject = stream;
    pump.play().catch(() => {});
    this.#voice = { source, gain, pump };
  }

  shift(offset) {
    this.#player.port.postMessage({ offset });
  }

  cut() {
    this.#cutAt = this.context.currentTime;
    this.#player.port.postMessage({ cut: true });
    if (!this.#voice) return;
    const { gain } = this.#voice.gain, now = this.context.currentTime;
    gain.cancelScheduledValues(now);
    gain.setValueAtTime(gain.value, now);
    gain.linearRampToValueAtTime(0, now + FADE);
    gain.setValueAtTime(0, now + HUSH);
    gain.linearRampToValueAtTime(1, now + HUSH + FADE);
  }

  /** Loudest sample of the last 5 ms. */
  level() {
    this.#meter.getFloatTimeDomainData(this.#samples);
    return this.#samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  }

  async openMic() {
    const constraints = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: constraints });
    const source = new MediaStreamAudioSourceNode(this.context, { mediaStream: stream });
    const node = new AudioWorkletNode(this.context, 'microphone', { numberOfOutputs: 0, channelCount: 1,
      channelCountMode: 'explicit' });
    node.port.onmessage = ({ data }) => this.onmic({ ...data, seconds: data.at - this.#start });
    source.connect(node);
    source.connect(this.#tape);
    this.#mic = { stream, source, node };
  }

  get micTrack() {
    return this.#mic?.stream.getAudioTracks()[0] ?? null;
  }

  get hasMic() {
    return this.#mic !== null;
  }

  mute(muted) {
    this.#mic?.stream.getTracks().forEach((track) => (track.enabled = !muted));
  }

  async close() {
    this.#mic?.stream.getTracks().forEach((track) => track.stop());
    this.#mic = null;
    if (this.context.state !== 'closed') await this.context.close();
  }
}
