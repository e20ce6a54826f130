// The camera: the self-view's video, and JPEGs with the time of their capture.

const SIDE = 448, QUALITY = 0.75, GAP = 36; // ms: under 40, since cameras jitter

export class Camera {
  onpicture = () => {}; // (milliseconds of performance.now(), ArrayBuffer, milliseconds it took)
  #stream = null;
  #busy = false;
  #last = 0;
  #canvas = new OffscreenCanvas(SIDE, SIDE);

  /** video: the self-view; jpegs: whether pictures are wanted at all, or the track alone. */
  constructor(video, jpegs = true) {
    Object.assign(this, { video, jpegs });
  }

  get on() {
    return this.#stream !== null;
  }

  get track() {
    return this.#stream?.getVideoTracks()[0] ?? null;
  }

  async start() {
    const size = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 25 }, facingMode: 'user' };
    this.#stream = await navigator.mediaDevices.getUserMedia({ video: size });
    this.video.srcObject = this.#stream;
    await this.video.play();
    if (this.jpegs) this.#wait(this.#stream);
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
    this.video.srcObject = null;
  }

  #wait(stream) {
    const next = (now, frame) => {
      if (this.#stream !== stream) return;
      this.#take(frame?.captureTime ?? now);
      this.#wait(stream);
    };
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(next);
    else setTimeout(() => next(performance.now(), null), 40);
  }

  /** One picture is under way at most: a slow machine sends fewer, never older ones. */
  async #take(captured) {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (this.#busy || !width || captured - this.#last < GAP) return;
    this.#busy = true;
    this.#last = captured;
    const scale = Math.min(1, SIDE / Math.max(width, height));
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    try {
      this.#canvas.getContext('2d').drawImage(this.video, 0, 0, this.#canvas.width, this.#canvas.height);
      const blob = await this.#canvas.convertToBlob({ type: 'image/jpeg', quality: QUALITY });
      this.onpicture(captured, await blob.arrayBuffer(), performance.now() - captured);
    } finally {
      this.#busy = false;
    }
  }
}

/** A picture of the user's as JPEG, turned upright, at most `side` pixels: nothing else of the file is kept. */
export async function reduced(file, side = 1024) {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, side / Math.max(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.round(picture.width * scale), Math.round(picture.height * scale));
  canvas.getContext('2d').drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return (await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.92 })).arrayBuffer();
}

/** One line for a camera or microphone that does not start, and what to do. */
export function mediaFault(what, error, otherwise) {
  const reasons = {
    NotAllowedError: `This page may not use the ${what}. Allow it beside the address and try again; ${otherwise}`,
    NotFoundError: `No ${what} was found. Plug one in and try again; ${otherwise}`,
    NotReadableError: `Another program holds the ${what}. Close it and try again; ${otherwise}`,
  };
  return reasons[error.name] ?? `The ${what} does not start (${error.name}); ${otherwise}`;
}
