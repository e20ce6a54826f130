/** window.afjaxDebug: what the page knows, for tests, to be read only. */
export function watch(stage, call, sound) {
  window.afjaxDebug = Object.freeze({
    get screen() { return document.body.dataset.screen; },
    get state() { return call()?.state ?? 'none'; },
    get frames() { return stage.frames; },
    get late() { return stage.late; },
    get lag() { return stage.lag; },
    get lastFrame() { return stage.last; },
    get lastGeneration() { return stage.lastGeneration; },
    get generation() { return stage.generation; },
    get offset() { return stage.offset; },
    get clock() { return sound()?.now() ?? 0; },
    get level() { return sound()?.level() ?? 0; },
    get missing() { return sound()?.missing ?? 0; },
    get cutMs() { return sound()?.cut_ms ?? null; },
    get cuts() { return call()?.cuts ?? 0; },
    get rtt() { return call()?.rtt ?? null; },
  });
}
