// The diagnostics drawer.

const ms = (seconds) => (Number.isFinite(seconds) ? `${Math.round(seconds * 1000)} ms` : '–');
const plain = (value, unit = '') => (Number.isFinite(value) ? `${Math.round(value)}${unit}` : '–');

export class Figures {
  constructor(list, numbers) {
    Object.assign(this, { list, numbers });
  }

  show(call) {
    const { stage, stats, sound } = call;
    const way = Number.isFinite(call.rtt) ? call.rtt / 2 : NaN;
    this.#waterfall([
      ['Camera to wire', call.camera.on && call.capture_ms !== null ? call.capture_ms / 1000 : NaN],
      ['Wire, up', way],
      ['A block on the server', (stats.compute_ms?.p50 ?? NaN) / 1000],
      ['Wire, down', way],
      ['Waits for its time', Math.max(0, stage.slack)],
      ['Loudspeaker', sound.latency],
      ['Drawn after its time', stage.lag],
    ]);
    const reaction = stats.reaction_ms;
    this.#table([
      ['Measured reaction', plain(typeof reaction === 'object' ? reaction?.p50 : reaction, ' ms')],
      ['Offset', ms(stats.offset ?? stage.offset)],
      ['Compute p50 / p95', `${plain(stats.compute_ms?.p50)} / ${plain(stats.compute_ms?.p95, ' ms')}`],
      ['Late blocks', `${stats.late_blocks ?? '–'} of ${stats.blocks ?? '–'}`],
      ['Pictures shown', `${stage.frames}`],
      ['Pictures late', `${stage.late}`],
      ['Frames without sound', `${sound.missing}`],
      ['Last cut to silence', plain(sound.cut_ms ?? NaN, ' ms')],
      ['Round trip', ms(call.rtt ?? NaN)],
      ['Up / down', `${plain(call.rates.up)} / ${plain(call.rates.down, ' kb/s')}`],
      ...this.#counts(stats.counts),
    ]);
  }

  #counts(counts) {
    if (typeof counts !== 'object' || counts === null) return [];
    const named = Object.entries(counts).filter(([, value]) => ['number', 'string'].includes(typeof value));
    return named.map(([name, value]) => [name.replace(/_/g, ' '), String(value)]);
  }

  #waterfall(steps) {
    const known = steps.filter(([, seconds]) => Number.isFinite(seconds));
    const sum = known.reduce((total, [, seconds]) => total + seconds, 0);
    let from = 0;
    const rows = steps.map(([name, seconds]) => {
      const row = this.#row(name, ms(seconds));
      const bar = document.createElement('i');
      if (Number.isFinite(seconds) && sum > 0) {
        bar.style.setProperty('--from', `${(100 * from) / sum}%`);
        bar.style.setProperty('--share', `${(100 * seconds) / sum}%`);
        from += seconds;
      }
      row.append(bar);
      return row;
    });
    const total = this.#row('In all', ms(sum));
    total.className = 'sum';
    this.list.replaceChildren(...rows, total);
  }

  #row(name, value) {
    const row = document.createElement('li');
    const figure = document.createElement('b');
    figure.textContent = value;
    row.append(name, figure);
    return row;
  }

  #table(rows) {
    const cells = rows.flatMap(([name, value]) => {
      const term = document.createElement('dt');
      const figure = document.createElement('dd');
      term.textContent = name;
      figure.textContent = value;
      return [term, figure];
    });
    this.numbers.replaceChildren(...cells);
  }
}
