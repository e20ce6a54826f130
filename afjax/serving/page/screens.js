// Which screen is seen, and the words on it when something goes wrong.

export const $ = (id) => document.getElementById(id);

export function screen(name) {
  document.body.dataset.screen = name;
  for (const one of document.querySelectorAll('.screen')) one.hidden = one.id !== name;
}

export function wait(title, text, again = null) {
  $('wait-title').textContent = title;
  $('wait-text').textContent = text;
  $('again').hidden = !again;
  $('again').onclick = again;
  screen('wait');
}

export function notice(text, action = null) {
  $('notice').hidden = !text;
  $('notice-text').textContent = text;
  $('notice-do').hidden = !action;
  if (!action) return;
  $('notice-do').textContent = action.name;
  $('notice-do').onclick = () => {
    notice('');
    action.run();
  };
}

/** Says why there is no call: an error of `connect` in the page's words. */
export function unreachable(error, again, webrtc) {
  if (error.message === 'busy') {
    wait('All seats are taken', 'As many people are talking as this machine can hold. Try again in a minute.', again);
  } else if (error.message === 'mute') {
    wait('No sound has started', 'Is a loudspeaker connected, or headphones? Look, and try again.', again);
  } else if (webrtc) {
    wait('No way to the server', 'WebRTC does not get through, or the server was started without it. The address may work '
      + 'without ?webrtc in it.', again);
  } else {
    wait('The server does not answer', 'Is it still running? Open the address that it printed last: each start has a '
      + 'new one.', again);
  }
}
