// The choice of a portrait: those of the server, and one's own with consent.

import { reduced } from './camera.js';

/** "old_friend.png" -> "Old friend" */
export function label(name) {
  const words = name.replace(/\.\w+$/, '').replace(/[_-]+/g, ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export const voiceName = (voice) => (typeof voice === 'string' ? voice : voice.name);
export const voiceLabel = (voice) => (typeof voice === 'string' ? label(voice) : voice.label ?? label(voice.name));

export function fill(select, voices) {
  select.replaceChildren(...voices.map((voice) => new Option(voiceLabel(voice), voiceName(voice))));
  select.closest('.field').hidden = voices.length === 0;
}

/** Event `change` whenever the choice is another and may be used. */
export class Faces extends EventTarget {
  choice = null; // {portrait, upload, image}
  #own = null;

  constructor(grid, consentRow, consent, file, group) {
    super();
    Object.assign(this, { grid, consentRow, consent, file, group });
    consent.addEventListener('change', () => this.#changed());
  }

  /** Whether what is chosen may be used. */
  get usable() {
    return this.choice !== null && (!this.choice.upload || this.consent.checked);
  }

  show(names, chosen = names[0]) {
    this.grid.replaceChildren(...names.map((name) => this.#card(name)), this.#add());
    if (this.#own) this.grid.lastChild.before(this.#own);
    const first = this.grid.querySelector(`input[value="${CSS.escape(chosen ?? '')}"]`);
    if (first) first.checked = true;
    this.choice = chosen ? this.#of(chosen) : null;
  }

  #of(name) {
    return { portrait: name, upload: null, image: this.grid.querySelector(`[data-name="${CSS.escape(name)}"]`) };
  }

  #radio(value) {
    const radio = document.createElement('input');
    Object.assign(radio, { type: 'radio', name: this.group, value });
    return radio;
  }

  #face(radio, picture, text) {
    const card = document.createElement('label');
    card.className = 'face';
    const caption = document.createElement('span');
    caption.textContent = text;
    card.append(radio, picture, caption);
    return card;
  }

  #card(name) {
    const image = new Image();
    image.src = `portraits/${encodeURIComponent(name)}`;
    image.alt = '';
    image.dataset.name = name;
    const radio = this.#radio(name);
    radio.addEventListener('change', () => this.#choose(this.#of(name)));
    return this.#face(radio, image, label(name));
  }

  #add() {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'face plain';
    button.innerHTML = '<div class="add"><svg aria-hidden="true"><use href="#i-add"/></svg></div><span>Your own</span>';
    button.addEventListener('click', () => this.#pick());
    return button;
  }

  #pick() {
    this.file.value = '';
    this.file.onchange = () => this.file.files[0] && this.take(this.file.files[0]);
    this.file.click();
  }

  /** A picture of the user's own; `fault` is an event when it can't be read. */
  async take(file) {
    let upload = null;
    let picture = null;
    try {
      upload = await reduced(file);
      picture = await createImageBitmap(new Blob([upload], { type: 'image/jpeg' }));
    } catch {
      this.dispatchEvent(new Event('fault'));
      return;
    }
    const side = Math.min(picture.width, picture.height);
    const image = Object.assign(document.createElement('canvas'), { width: side, height: side });
    image.getContext('2d').drawImage(picture, (side - picture.width) / 2, (side - picture.height) / 2);
    const radio = this.#radio('');
    const choice = { portrait: '', upload, image };
    radio.addEventListener('change', () => this.#choose(choice));
    this.#own?.remove();
    this.#own = this.#face(radio, image, 'Yours');
    this.grid.lastChild.before(this.#own);
    radio.checked = true;
    this.consent.checked = false;
    this.#choose(choice);
    radio.focus();
  }

  #choose(choice) {
    this.choice = choice;
    this.consentRow.hidden = !choice.upload;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}
