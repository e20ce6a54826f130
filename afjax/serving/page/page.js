// The page: which screen is seen, what buttons and keys do, and what is said when something goes wrong.

import { Call } from './call.js';
import { Camera, mediaFault } from './camera.js';
import { Captions } from './captions.js';
import { watch } from './debug.js';
import { Faces, fill } from './faces.js';
import { Figures } from './figures.js';
import { Sound } from './player.js';
import { Link, tokenOf } from './protocol.js';
import { $, notice, screen, unreachable, wait } from './screens.js';
import { Stage } from './stage.js';
import { Tape } from './tape.js';
import { RtcLink } from './webrtc.js';

const STATES = { wait: 'Getting ready', listening: 'Listening', thinking: 'Thinking', speaking: 'Speaking' };
const RETRIES = [0.5, 1, 2, 4, 8, 8];
const token = tokenOf(location.hash);
const webrtc = new URLSearchParams(location.search).has('webrtc');

let hello = null;
let link = null;
let call = null;
let sound = null;
let choice = null;
let connecting = null;
let saved = null;

const camera = new Camera($('self'), !webrtc);
const stage = new Stage($('avatar'), () => (sound ? sound.heard() : 0));
const captions = new Captions($('log'), $('screen'), $('spoken'));
const figures = new Figures($('waterfall'), $('numbers'));
const tape = new Tape($('avatar'), $('self'));
const faces = new Faces($('portraits'), $('consent-row'), $('consent'), $('file'), 'portrait');
const looks = new Faces($('looks-portraits'), $('looks-consent-row'), $('looks-consent'), $('file'), 'look');

/* the link */

/** A link that has said hello; rejects with 'busy', 'refused' or 'silent'. */
function connect() {
  connecting ??= new Promise((done, fail) => {
    const fresh = webrtc ? new RtcLink(token) : new Link(token);
    const timer = setTimeout(() => { fresh.close(); fail(new Error('silent')); }, 8000);
    fresh.addEventListener('json', ({ detail }) => {
      if (detail.type === 'busy') { fresh.close(); fail(new Error('busy')); }
      if (detail.type === 'error' && !hello) $('wait-text').textContent = detail.text;
      if (detail.type !== 'hello') return;
      clearTimeout(timer);
      hello = detail;
      link = fresh;
      done(fresh);
    });
    fresh.addEventListener('closed', () => {
      clearTimeout(timer);
      fail(new Error('refused'));
      if (fresh === link) lost();
    });
  }).finally(() => { connecting = null; });
  return connecting;
}

/** Whether the server signs recordings. */
async function signs() {
  try {
    return (await (await fetch('health')).json()).signs === true;
  } catch {
    return false;
  }
}

async function arrive() {
  if (!token) {
    wait('The address is not complete', 'Open the whole address that the server has printed, with the part after #.');
    return;
  }
  wait('Connecting', 'One moment.');
  try {
    await connect();
    tape.signs = await signs();
    prepare();
    screen('begin');
  } catch (error) {
    unreachable(error, arrive, webrtc);
  }
}

function prepare() {
  faces.show(hello.portraits ?? []);
  for (const id of ['voice', 'looks-voice']) fill($(id), hello.voices ?? []);
  $('expressive-row').hidden = hello.guided === false;
  allow();
}

function allow() {
  $('start').disabled = !faces.usable;
}

/** The socket has closed without our will. */
async function lost() {
  link = null;
  if (!call) return; // on the first screen it is opened again when needed
  call.leave();
  $('state').dataset.state = 'wait';
  $('state').lastElementChild.textContent = 'Connection lost';
  for (const seconds of RETRIES) {
    if (!call) return;
    notice(`The connection is lost. Trying again in ${seconds < 1 ? 'a moment' : `${seconds} s`}.`);
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    if (!call) return;
    try {
      await connect();
      if (!call) return;
      notice('');
      join();
      return;
    } catch {
      // again, also when it is busy: our own seat may not be free yet
    }
  }
  if (!call) return;
  notice('The connection is lost. Look whether the server still runs.', { name: 'Try again', run: lost });
}

/* a call */

async function start(event) {
  event.preventDefault();
  $('start').disabled = true;
  notice('');
  const { portrait, upload, image } = faces.choice;
  choice = { portrait, upload, image, voice: $('voice').value };
  try {
    sound = await Sound.open();
    const mic = !$('use-mic').checked || (await openMic());
    const seen = !$('use-camera').checked || (await openCamera());
    if (!mic && !seen) {
      notice('Neither camera nor microphone can be used. Allow them beside the address, or type what it should say.');
    }
    if (!link?.open) await connect();
  } catch (error) {
    await hangUp();
    unreachable(error, arrive, webrtc);
    return;
  }
  call = new Call({ sound, stage, camera, captions });
  call.addEventListener('state', ({ detail }) => showState(detail));
  call.addEventListener('trouble', ({ detail }) => notice(detail.text));
  call.addEventListener('second', everySecond);
  captions.clear();
  looks.show(hello.portraits ?? [], portrait || undefined);
  $('looks-voice').value = choice.voice;
  screen('call');
  if (image?.width) stage.still(image);
  join();
  buttons();
  $('mute').focus({ focusVisible: false });
}

function join() {
  call.join(link, choice);
  const follow = Number($('expressive').value);
  if (follow !== 1) call.send({ type: 'expressiveness', value: follow });
}

async function openMic() {
  try {
    await sound.openMic();
    return true;
  } catch (error) {
    notice(mediaFault('microphone', error, 'you can also type.'));
    return false;
  }
}

async function openCamera() {
  try {
    await camera.start();
    return true;
  } catch (error) {
    notice(mediaFault('camera', error, 'the call goes on without it.'));
    return false;
  }
}

function showState(state) {
  $('state').dataset.state = state;
  $('state').lastElementChild.textContent = STATES[state] ?? state;
}

function everySecond() {
  if (!$('figures').hidden) figures.show(call);
  if (sound.context.state !== 'running') {
    notice('The browser has stopped the sound.', { name: 'Go on', run: () => sound.context.resume() });
  }
}

function buttons() {
  const mic = sound?.hasMic ?? false;
  const silent = !mic || (call?.muted ?? false);
  $('mute').setAttribute('aria-pressed', String(silent));
  $('mute').lastElementChild.textContent = mic ? (silent ? 'Muted' : 'Mute') : 'No mic';
  $('mic-label').textContent = mic ? (silent ? 'Muted' : 'Microphone') : 'No microphone';
  $('camera').setAttribute('aria-pressed', String(!camera.on));
  $('camera').lastElementChild.textContent = camera.on ? 'Camera' : 'Camera off';
  $('self-off').hidden = camera.on;
  $('record').setAttribute('aria-pressed', String(tape.on));
  $('record').lastElementChild.textContent = tape.on ? 'Stop' : 'Record';
  $('record').hidden = !Tape.possible;
}

const acts = {
  async mute() {
    if (sound.hasMic) call.mute(!call.muted);
    else {
      await openMic();
      if (sound.hasMic) {
        notice('The microphone is there. The conversation begins anew to use it.', { name: 'Begin anew', run: anew });
      }
    }
    buttons();
  },
  async camera() {
    if (camera.on) camera.stop();
    else await openCamera();
    call?.carry();
    buttons();
  },
  interrupt() {
    call.send({ type: 'interrupt' });
  },
  async record() {
    if (tape.on) {
      await tape.stop();
      await tape.sign(token);
      const how = tape.signed ? ', and signed as AI-generated' : tape.signs ? ', but could not be signed' : '';
      notice(`The recording is ready${how}. It lies in this page only until you save it.`, { name: 'Save', run: save });
    } else tape.start(sound.tape);
    buttons();
  },
  looks: () => drawer('looks'),
  figures: () => drawer('figures'),
};

/** The same call on a new socket, since the microphone's rate is told at the beginning. */
async function anew() {
  call.leave();
  link?.close();
  try {
    await connect();
    captions.clear();
    join();
  } catch {
    lost();
  }
}

function drawer(id, open = $(id).hidden) {
  for (const one of ['looks', 'figures']) {
    const opens = one === id && open;
    $(one).hidden = !opens;
    $(`open-${one}`).setAttribute('aria-expanded', String(opens));
  }
  if (!open) return;
  if (id === 'figures') figures.show(call);
  $(id).querySelector('button').focus({ focusVisible: false });
}

function save() {
  if (saved) URL.revokeObjectURL(saved);
  saved = URL.createObjectURL(tape.blob);
  const anchor = document.createElement('a');
  anchor.href = saved;
  anchor.download = `conversation-ai-generated.${tape.suffix}`;
  anchor.click();
}

async function hangUp() {
  call?.send({ type: 'end' });
  call?.leave();
  call = null;
  camera.stop();
  link?.close();
  link = null;
  const recorded = tape.on;
  if (recorded) await tape.stop();
  await sound?.close();
  sound = null;
  if (recorded) await tape.sign(token);
  $('start').disabled = false;
}

async function end() {
  const seconds = Math.round(sound.now());
  notice('');
  drawer('looks', false);
  await hangUp();
  $('done-text').textContent = `You talked for ${Math.floor(seconds / 60)} min ${seconds % 60} s. `
    + (tape.blob ? 'A recording waits to be saved.' : 'Nothing of it is stored.');
  $('save').hidden = $('save-note').hidden = !tape.blob;
  $('another').classList.toggle('primary', !tape.blob);
  screen('done');
  $('another').focus({ focusVisible: false });
}

/* wiring */

const KEYS = { m: 'mute', c: 'camera', Escape: 'interrupt', r: 'record', f: 'looks', d: 'figures' };

document.addEventListener('keydown', (event) => {
  if (!call || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = ['INPUT', 'SELECT', 'TEXTAREA'].includes(event.target.tagName) && event.target.type !== 'range';
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (typing && key !== 'Escape') return;
  if (key === '/') {
    event.preventDefault();
    $('say').focus();
  } else if (KEYS[key]) acts[KEYS[key]]();
});

for (const id of ['mute', 'camera', 'interrupt', 'record']) $(id).addEventListener('click', () => acts[id]());
for (const id of ['looks', 'figures']) $(`open-${id}`).addEventListener('click', () => drawer(id));
for (const button of document.querySelectorAll('[data-close]')) {
  button.addEventListener('click', () => {
    drawer(button.dataset.close, false);
    $(`open-${button.dataset.close}`).focus();
  });
}
for (const button of document.querySelectorAll('[data-gesture]')) {
  button.addEventListener('click', () => call.send({ type: 'gesture', name: button.dataset.gesture }));
}
for (const one of [faces, looks]) {
  one.addEventListener('fault', () => notice('This file is no picture that can be read. Take a JPEG, PNG or WebP.'));
}
faces.addEventListener('change', allow);
looks.addEventListener('change', () => {
  if (!looks.usable) return;
  Object.assign(choice, { portrait: looks.choice.portrait, upload: looks.choice.upload });
  call.look(looks.choice);
});
$('looks-voice').addEventListener('change', ({ target }) => {
  choice.voice = target.value;
  call.send({ type: 'voice', name: target.value });
});
$('expressive').addEventListener('input', ({ target }) => {
  const value = Number(target.value);
  $('expressive-value').textContent = value === 1 ? 'as trained' : `× ${value.toFixed(1)}`;
  call.send({ type: 'expressiveness', value });
});
$('say-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('say').value.trim();
  if (text) call.say(text);
  $('say').value = '';
});
$('begin-form').addEventListener('submit', start);
$('end').addEventListener('click', end);
$('save').addEventListener('click', save);
$('another').addEventListener('click', () => { tape.blob = null; arrive(); });
$('notice-close').addEventListener('click', () => notice(''));

/** Once for each picture, not once for each of the screen's: where it paints without a graphics card, that costs a core. */
function frame() {
  setTimeout(() => requestAnimationFrame(frame), call?.ready ? stage.untilNext() : 40);
  if (!call) return;
  call.draw();
  tape.draw();
  const level = Math.min(1, Math.sqrt(call.level ?? 0));
  if (Math.abs(level - $('level').value) > 0.04) $('level').value = level;
}
requestAnimationFrame(frame);

if (webrtc) {
  // nothing else tells the server at once that this page has gone
  addEventListener('pagehide', () => {
    link?.json({ type: 'end' });
    link?.close();
  });
}

watch(stage, () => call, () => sound);
arrive();
