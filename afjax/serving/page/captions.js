// Words that appear when they are said, and end where the speech was cut.

import { older } from './protocol.js';

const TOGETHER = 25; // frames between two messages of one line
const LINGER = 40; // frames for which the last words stay in the picture
const ON_SCREEN = 12; // words in the picture at once
const KEPT = 200; // lines

/** The picture holds one sentence at a time, and no more than a line or two of it. */
function firstOnScreen(words, shown) {
  let from = 0;
  for (let n = 1; n < shown; n++) if (n - from >= ON_SCREEN || /[.!?]$/.test(words[n - 1][0])) from = n;
  return from;
}

export class Captions {
  #lines = [];

  /** log: the written conversation; screen: the line in the picture; voice: a live region for whole sentences. */
  constructor(log, screen, voice) {
    Object.assign(this, { log, screen, voice });
  }

  clear() {
    this.#lines = [];
    this.log.replaceChildren();
    this.screen.textContent = '';
  }

  add({ generation = 0, who, words }, frame) {
    if (!Array.isArray(words) || !words.length) return;
    const last = this.#lines.findLast((line) => line.who === who);
    const joins = last && !last.cut && last === this.#lines.at(-1) && last.generation === generation
      && words[0][1] - last.words.at(-1)[2] <= TOGETHER;
    const line = joins ? last : this.#line(who, generation);
    line.words.push(...words);
    line.told = false;
    this.tick(frame);
  }

  /** A line that the user has typed. */
  typed(text) {
    const line = this.#line('asked', 0);
    line.words = [[text, 0, 0]];
    this.#write(line, 1);
  }

  #line(who, generation) {
    const line = { who, generation, words: [], shown: 0, cut: false, told: false, row: null };
    this.#lines.push(line);
    if (this.#lines.length > KEPT) this.#lines.shift().row?.remove();
    return line;
  }

  #write(line, shown) {
    line.shown = shown;
    if (!line.row) {
      line.row = document.createElement('p');
      line.row.className = `line ${line.who}`;
      this.log.append(line.row);
    }
    const text = line.words.slice(0, shown).map(([word]) => word).join(' ');
    line.row.textContent = text;
    this.log.scrollTop = this.log.scrollHeight;
  }

  /** Shows what is said by now; the user's words at once. */
  tick(frame) {
    for (const line of this.#lines.slice(-6)) {
      if (line.cut || (line.who === 'asked' && line.shown)) continue;
      const said = line.who === 'avatar' ? line.words.filter(([, first]) => first <= frame).length : line.words.length;
      if (said > line.shown) this.#write(line, said);
      if (said === line.words.length && !line.told && line.who === 'avatar' && frame > line.words.at(-1)[2]) {
        line.told = true;
        this.voice.textContent = line.row?.textContent ?? '';
      }
    }
    this.#screen(frame);
  }

  #screen(frame) {
    const line = this.#lines.findLast((one) => one.who === 'avatar' && one.shown > 0);
    const seen = line && frame <= line.words[line.shown - 1][2] + LINGER;
    const from = line ? firstOnScreen(line.words, line.shown) : 0;
    const text = seen ? line.words.slice(from, line.shown).map(([word]) => word).join(' ') : '';
    const shown = text && line.cut ? `${text} –` : text;
    if (this.screen.textContent !== shown) this.screen.textContent = shown;
  }

  /** What was not said by `frame` is never shown. */
  cut(generation, frame) {
    for (const line of this.#lines) {
      if (line.who !== 'avatar' || line.cut || !older(line.generation, generation)) continue;
      const said = line.words.filter(([, first]) => first <= frame).length;
      if (said === line.words.length && line.words.at(-1)[2] < frame) continue;
      line.words.length = said;
      line.cut = true;
      if (!said) continue;
      this.#write(line, said);
      line.row.classList.add('cut');
    }
    this.#lines = this.#lines.filter((line) => line.words.length);
    this.#screen(frame);
  }
}
