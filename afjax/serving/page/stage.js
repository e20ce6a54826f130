// Pictures that wait for their time, and the canvas on which they are drawn.

import { FPS, older } from './protocol.js';

const KEPT = 100; // pictures that wait at most: four seconds
const AT_ONCE = 3; // that are decoded

export class Stage {
  generation = 0;
  offset = 0;
  frames = 0;
  late = 0;
  lag = 0; // seconds behind its time at which a picture is drawn: mean of the last second
  slack = 0; // seconds before its time at which a picture arrived: slow mean
  last = -1;
  lastGeneration = 0;
  #raw = []; // not yet decoded, in order
  #decoding = 0;
  #waiting = new Map();
  #lagSum = 0;
  #lagCount = 0;
  #video = null;
  #context;

  constructor(canvas, clock) {
    this.canvas = canvas;
    this.clock = clock; // () => seconds of what is heard
    this.#context = canvas.getContext('2d', { alpha: false });
  }

  begin(offset, generation) {
    this.#raw = [];
    this.#drop(() => true);
    Object.assign(this, { offset, generation, frames: 0, late: 0, lag: 0, last: -1, lastGeneration: generation });
  }

  /** Frame that is due now. */
  due() {
    return Math.floor((this.clock() - this.offset) * FPS);
  }

  /** Milliseconds until the next picture is due. */
  untilNext() {
    return Math.min(100, Math.max(1, 1000 * (this.offset + (this.due() + 1) / FPS - this.clock())));
  }

  take(frame, generation, jpeg) {
    if (older(generation, this.generation)) return;
    const early = this.offset + frame / FPS - this.clock();
    this.slack += 0.05 * (early - this.slack);
    if (this.#raw.length < KEPT) this.#raw.push({ frame, generation, jpeg });
    this.#decode();
  }

  /** A few at a time, the next due first; of those whose time is over the newest alone, so that we catch up. */
  async #decode() {
    if (this.#decoding >= AT_ONCE || !this.#raw.length) return;
    const due = this.due();
    const over = this.#raw.findLastIndex((entry) => entry.frame < due);
    if (over > 0) this.#raw.splice(0, over);
    const { frame, generation, jpeg } = this.#raw.shift();
    this.#decoding++;
    const picture = await createImageBitmap(new Blob([jpeg], { type: 'image/jpeg' })).catch(() => null);
    this.#decoding--;
    if (picture) this.#keep({ frame, generation, picture });
    this.#decode();
  }

  #keep(entry) {
    if (older(entry.generation, this.generation) || this.#waiting.size >= KEPT) {
      entry.picture.close();
      return;
    }
    this.#waiting.get(entry.frame)?.picture.close();
    this.#waiting.set(entry.frame, entry);
  }

  /** Draws the pictures of a track when they come, until another or none is followed. */
  follow(track) {
    this.#video?.remove();
    this.#video = null;
    if (!track) return;
    const video = this.#video = document.createElement('video');
    video.className = 'unseen';
    video.muted = video.playsInline = true;
    video.srcObject = new MediaStream([track]);
    this.canvas.after(video);
    video.play().catch(() => {});
    const next = () => {
      if (this.#video !== video) return;
      const { videoWidth: width, videoHeight: height } = video;
      if (width && height) this.#paint(video, width, height);
      wait();
    };
    const wait = () => {
      if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(next);
      else setTimeout(next, 40);
    };
    wait();
  }

  #paint(source, width, height) {
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.#context.drawImage(source, 0, 0);
    this.frames++;
    this.last = this.due();
    this.lastGeneration = this.generation;
  }

  /** Everything older than `generation` is gone at once. */
  cut(generation) {
    this.generation = generation;
    this.#raw = this.#raw.filter((entry) => !older(entry.generation, generation));
    this.#drop((entry) => older(entry.generation, generation));
  }

  #drop(which) {
    for (const [frame, entry] of this.#waiting) {
      if (!which(entry)) continue;
      entry.picture.close();
      this.#waiting.delete(frame);
    }
  }

  /** Draws the newest picture that is due. -> whether a new one is seen. */
  draw() {
    const due = this.due();
    let best = null;
    for (const entry of this.#waiting.values()) {
      if (entry.frame <= due && (!best || entry.frame > best.frame)) best = entry;
    }
    if (!best) return false;
    const isNew = best.frame > this.last || older(this.lastGeneration, best.generation);
    if (isNew) this.#show(best, due);
    this.#drop((entry) => entry.frame <= due);
    return isNew;
  }

  #show({ frame, generation, picture }, due) {
    if (this.canvas.width !== picture.width || this.canvas.height !== picture.height) {
      this.canvas.width = picture.width;
      this.canvas.height = picture.height;
    }
    this.#context.drawImage(picture, 0, 0);
    const lag = Math.max(0, this.clock() - this.offset - frame / FPS);
    const skipped = this.last >= 0 && generation === this.lastGeneration ? frame - this.last - 1 : 0;
    if (!document.hidden) this.late += skipped + (due > frame ? 1 : 0);
    this.frames++;
    this.#lagSum += lag;
    this.#lagCount++;
    this.last = frame;
    this.lastGeneration = generation;
  }

  /** Once a second: {frames, late, lag} for the server; the mean starts anew. */
  report() {
    this.lag = this.#lagCount ? this.#lagSum / this.#lagCount : 0;
    this.#lagSum = this.#lagCount = 0;
    return { frames: this.frames, late: this.late, lag: this.lag };
  }

  /** A still face before the first picture. */
  still(image) {
    this.canvas.width = image.naturalWidth || image.width;
    this.canvas.height = image.naturalHeight || image.height;
    this.#context.drawImage(image, 0, 0);
  }
}
