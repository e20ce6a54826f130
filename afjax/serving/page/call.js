// One conversation: what comes over the link goes to sound, stage and captions; what the user does goes up.

import { CAMERA, MIC, PICTURE, PORTRAIT, SOUND, older } from './protocol.js';

const FULL = 256 * 1024; // bytes that wait for the network: no camera picture is added to them

/** Events: `state`, `ready`, `trouble` ({code, text}), `second` (once a second). */
export class Call extends EventTarget {
  state = 'wait';
  ready = false;
  stats = {};
  rtt = null;
  capture_ms = null; // from the camera's capture to the wire
  muted = false;
  cuts = 0;
  #link = null;
  #mics = 0;
  #pictures = 0;
  #ticks = 0;
  #timer = 0;
  #bytes = { up: 0, down: 0 };
  rates = { up: 0, down: 0 };

  constructor({ sound, stage, camera, captions }) {
    super();
    Object.assign(this, { sound, stage, camera, captions });
    sound.onmic = (chunk) => this.#mic(chunk);
    camera.onpicture = (at, jpeg, took) => this.#picture(at, jpeg, took);
  }

  get generation() {
    return this.stage.generation;
  }

  /** Begins on a link that has said hello. choice: {portrait, upload, voice}. */
  join(link, choice) {
    this.#link = link;
    this.#mics = this.#pictures = 0;
    this.#bytes = { up: link.up, down: link.down };
    this.ready = false;
    this.#state('wait');
    link.addEventListener('json', ({ detail }) => link === this.#link && this.#json(detail));
    link.addEventListener('binary', ({ detail }) => link === this.#link && this.#binary(detail));
    this.sound.begin(0);
    const { portrait, upload, voice } = choice;
    const mic_rate = this.sound.hasMic ? this.sound.rate : 0;
    link.json({ type: 'begin', portrait: upload ? '' : portrait, voice, mic_rate, camera: this.camera.on });
    if (upload) link.binary(PORTRAIT, 0, 0, 0, upload);
    this.sound.follow(link.tracks?.audio);
    this.stage.follow(link.tracks?.video);
    this.carry();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#second(), 1000);
  }

  /** Gives the user's tracks to a link that has tracks. */
  carry() {
    this.#link?.carry?.('audio', this.sound.micTrack);
    this.#link?.carry?.('video', this.camera.track);
  }

  /** Nothing more is sent or taken. */
  leave() {
    this.stage.follow(null);
    this.sound.follow(null);
    clearInterval(this.#timer);
    this.#link = null;
    this.ready = false;
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #state(state) {
    this.state = state;
    this.#tell('state', state);
  }

  #json(message) {
    switch (message.type) {
      case 'ready':
        this.stage.begin(message.offset, message.generation);
        this.sound.shift(message.offset);
        this.ready = true;
        if (this.state === 'wait') this.#state('listening');
        this.#tell('ready');
        break;
      case 'state':
        this.#state(message.state);
        break;
      case 'caption':
        if (message.who === 'user' || !older(message.generation, this.generation)) {
          this.captions.add(message, this.stage.due());
        }
        break;
      case 'cut':
        this.sound.cut();
        this.captions.cut(message.generation, this.stage.due());
        this.stage.cut(message.generation);
        this.cuts++;
        break;
      case 'rebase':
        this.stage.offset = message.offset;
        this.sound.shift(message.offset);
        break;
      case 'pong': {
        const inside = Math.max(0, message.answered - message.received) || 0;
        this.rtt = Math.max(0, this.sound.stamp() - message.sent - inside);
        break;
      }
      case 'stats':
        this.stats = message;
        break;
      case 'error':
        this.#tell('trouble', message);
        break;
    }
  }

  #binary({ kind, generation, number, payload }) {
    if (!this.ready || older(generation, this.generation)) return;
    if (kind === SOUND) this.sound.play(number, payload);
    else if (kind === PICTURE) this.stage.take(number, generation, payload);
  }

  #mic({ seconds, pcm, peak }) {
    this.level = this.muted ? 0 : peak;
    if (this.#link && !this.#link.tracks && seconds >= 0) this.#link.binary(MIC, this.generation, this.#mics++, seconds, pcm);
  }

  #picture(at, jpeg, took) {
    if (!this.#link || this.#link.tracks || this.#link.waiting > FULL) return;
    const seconds = this.sound.at(at);
    if (seconds < 0) return;
    this.capture_ms = this.capture_ms === null ? took : this.capture_ms + 0.1 * (took - this.capture_ms);
    this.#link.binary(CAMERA, this.generation, this.#pictures++, seconds, jpeg);
  }

  #second() {
    const { up, down } = this.#link;
    this.rates = { up: (up - this.#bytes.up) * 0.008, down: (down - this.#bytes.down) * 0.008 };
    this.#bytes = { up, down };
    if (this.ready) this.send({ type: 'shown', ...this.stage.report() });
    if (this.#ticks++ % 2 === 0) this.send({ type: 'ping', sent: this.sound.stamp() });
    this.#tell('second');
  }

  /** Draws what is due: call it at every animation frame. */
  draw() {
    if (!this.ready) return false;
    this.captions.tick(this.stage.due());
    return this.stage.draw();
  }

  send(message) {
    this.#link?.json(message);
  }

  say(text) {
    this.captions.typed(text);
    this.send({ type: 'say', text });
  }

  mute(muted) {
    this.muted = muted;
    this.sound.mute(muted);
  }

  /** Another face from here on: a name of hello, or a picture's bytes. */
  look({ portrait, upload }) {
    if (upload) this.#link?.binary(PORTRAIT, this.generation, 0, 0, upload);
    else this.send({ type: 'look', portrait });
  }
}
