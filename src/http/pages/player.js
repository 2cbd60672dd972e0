// The player of a channel's page: plays the chosen range in its place, by the browser's own HLS or else by hls.js, and tells the
// time in UTC. On its bar, and on the calendar, the picture under the pointer is shown. Stands on page.js.
"use strict";

// ---- Time: what plays at 12.5 s was broadcast at some moment, which the playlist tells.

// The stretches of a media playlist that play without a break: where each begins in what is played and in UTC, in seconds.
function stretches(playlist) {
  const found = [];
  let at = 0, seconds = 0, utc = 0, breaks = true, isGap = false;
  for (const line of playlist.split(/\r?\n/)) {
    if (line.startsWith("#EXTINF:")) seconds = parseFloat(line.slice(8));
    else if (line === "#EXT-X-DISCONTINUITY") breaks = true;
    else if (line === "#EXT-X-GAP") isGap = true;
    else if (line.startsWith("#EXT-X-PROGRAM-DATE-TIME:")) utc = Date.parse(line.slice(25)) / 1000;
    else if (line && !line.startsWith("#")) {
      if (isGap) breaks = true;
      else if (breaks) found.push({ at, utc, seconds });
      else found.at(-1).seconds += seconds;
      breaks = isGap;
      isGap = false;
      at += seconds;
      utc += seconds;
    }
  }
  return found;
}

class Times {
  constructor(all) {
    this.all = all;
  }

  // Where an instant plays; of one that is missing, where it goes on after it.
  at(utc) {
    const there = this.all.find((one) => utc < one.utc + one.seconds);
    const last = this.all.at(-1);
    return there ? there.at + Math.max(0, utc - there.utc) : last.at + last.seconds;
  }

  utc(at) {
    const there = this.all.findLast((one) => at >= one.at) ?? this.all[0];
    return there.utc + Math.min(at - there.at, there.seconds);
  }

  has(utc) {
    return this.all.some((one) => utc >= one.utc && utc < one.utc + one.seconds);
  }
}

// ---- The picture under the pointer: one is asked for at a time, once the pointer has rested, and kept by the browser.

// How often a picture is tried to be drawn.
const PAINTS = 120;

function peeker() {
  const box = one("#peek");
  const [canvas, label] = [one("canvas", box), one("span", box)];
  const pattern = one("#player").dataset.picture;
  const source = document.createElement("video");
  Object.assign(source, { muted: true, preload: "auto" });
  let wanted = null, asked = null, busy = false, timer = 0;

  function ask() {
    if (busy || wanted === null || wanted === asked) return;
    busy = true;
    asked = wanted;
    source.src = pattern.replace("{time}", iso(asked));
  }
  source.addEventListener("loadeddata", () => {
    [canvas.width, canvas.height] = [source.videoWidth, source.videoHeight];
    paint(PAINTS);
  });
  // At times there is no picture yet when it is said to be loaded, and nothing is drawn: then again with the next one of the screen.
  function paint(left) {
    const context = canvas.getContext("2d");
    context.drawImage(source, 0, 0);
    const isThere = context.getImageData(canvas.width >> 1, canvas.height >> 1, 1, 1).data[3] > 0;
    if (!isThere && left > 0) {
      // A seek has it shown.
      if (left % 30 === 0) source.currentTime = 0;
      return requestAnimationFrame(() => paint(left - 1));
    }
    busy = false;
    canvas.hidden = wanted === null || !isThere;
    ask();
  }
  source.addEventListener("error", () => {
    busy = false;
    canvas.hidden = true;
    ask();
  });

  return {
    // The picture at `s`, above the place where `event` is; `there` is false where it is known that there is none.
    show(s, event, over, there) {
      label.textContent = told(s);
      box.hidden = false;
      clearTimeout(timer);
      if (!there) [wanted, canvas.hidden] = [null, true];
      else timer = setTimeout(() => {
        wanted = s;
        if (wanted === asked && !busy) canvas.hidden = false;
        ask();
      }, 80);
      const [line, size] = [over.getBoundingClientRect(), box.getBoundingClientRect()];
      const left = Math.min(Math.max(event.clientX - size.width / 2, 4), document.documentElement.clientWidth - size.width - 4);
      box.style.left = `${left}px`;
      // By its lower edge: it grows when the picture comes.
      const fits = line.top > 160;
      box.style.bottom = fits ? `${innerHeight - line.top + 6}px` : "auto";
      box.style.top = fits ? "auto" : `${line.bottom + 6}px`;
    },
    hide() {
      clearTimeout(timer);
      wanted = null;
      box.hidden = true;
    },
  };
}

// On the calendar, beside the words that page.js says there.
function peekAtCalendar(peek) {
  const root = one("#calendar");
  root.addEventListener("pointermove", (event) => {
    const svg = event.target.closest("svg[data-start]");
    if (!svg || event.pointerType !== "mouse" || event.buttons) return peek.hide();
    const [box, seconds] = [svg.getBoundingClientRect(), svg.viewBox.baseVal.width];
    // No finer than what the pointer can tell apart.
    const pixel = Math.max(1, Math.floor(seconds / box.width));
    const offset = Math.floor(((event.clientX - box.left) / box.width) * seconds / pixel) * pixel;
    const run = svg.dataset.runs.split(" ").map((run) => run.split(",")).find(([at, n]) => offset >= +at && offset < +at + +n);
    peek.show(Number(svg.dataset.start) + offset, event, svg, ["archived", "partial"].includes(run?.[2]));
  });
  root.addEventListener("pointerleave", () => peek.hide());
}

// ---- The player.

const SOURCES = "application/vnd.apple.mpegurl";
const NO_HLS = "This browser plays no HLS by itself. Download the MP4, or have the operator put hls_js into [serve] of npvr.toml.";
const FAULTS = {
  2: "The media could not be had: the store did not answer, or is not open to this page",
  3: "The media could not be decoded",
  4: "This browser does not play such media",
};

// The body of an answer; what a refusal says is for people.
async function asked(url, options) {
  let answer;
  try {
    answer = await fetch(url, options);
  } catch {
    throw new Error("The server did not answer");
  }
  const text = await answer.text();
  if (answer.ok) return text;
  const problem = answer.headers.get("Content-Type")?.includes("json") ? JSON.parse(text).detail : text.trim().split("\n")[0];
  throw new Error(problem || `The server answered ${answer.status}`);
}

// What hls.js is loaded with, once.
let library = null;
function hlsJs(url) {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.addEventListener("load", () => resolve(window.Hls));
    script.addEventListener("error", () => reject(new Error("hls.js could not be loaded")));
    document.head.append(script);
  });
  return library;
}

function player(peek) {
  const root = one("#player");
  const [video, bar, form] = [one("#video"), one("#seek"), one("#selection form")];
  const [toggle, start, clock] = [one("#toggle"), one("#start"), one("#clock")];
  // The range that is chosen, and the one that is loaded, which it is in; their times; whether the end has been reached.
  const state = { chosen: null, loaded: null, times: null, hls: null, done: false, step: 0.04 };

  const say = (...what) => one("#played").replaceChildren(...what);
  const filled = (pattern, [from, to]) => pattern.replace("{start}", iso(from)).replace("{end}", iso(to));
  const position = () => state.times.utc(video.currentTime);

  // -- What is chosen.
  function choose() {
    const range = ["from", "to"].map((name) => Date.parse(form.elements[name].value) / 1000);
    const isRange = !one("#links").hidden && range[0] < range[1];
    root.hidden = !isRange;
    if (!isRange) return unload();
    const [from, to] = state.loaded ?? [];
    state.chosen = range;
    state.done = false;
    one("#download").href = filled(root.dataset.mp4, range);
    if (range[0] < from || range[1] > to) unload();
    draw();
  }

  function mark(name) {
    if (!state.times) return;
    const at = Math.round(position() * 1000) / 1000;
    const [from, to] = name === "from" ? [at, state.chosen[1]] : [state.chosen[0], at];
    if (from >= to) return say("That would end before it begins");
    form.elements[name].value = iso(at);
    form.dispatchEvent(new Event("input"));
  }

  // -- Loading.
  async function load() {
    unload();
    const range = state.chosen;
    state.loaded = range;
    say("Loading");
    const isStale = () => state.loaded !== range;
    try {
      const url = new URL(filled(root.dataset.hls, range), location.href);
      const main = await asked(url);
      const media = main.split(/\r?\n/).find((line) => line && !line.startsWith("#"));
      if (!media) throw new Error("There is nothing in it that plays");
      const times = stretches(await asked(new URL(media, url)));
      if (isStale()) return;
      if (!times.length) throw new Error("There is nothing in it that plays");
      state.times = new Times(times);
      await attach(url.href, isStale);
      draw();
    } catch (error) {
      if (!isStale()) fail(error.message);
    }
  }

  async function attach(url, isStale) {
    const from = state.times.at(state.chosen[0]);
    if (video.canPlayType(SOURCES)) {
      // A media fragment (W3C Media Fragments §4.2.1) is not heeded for HLS everywhere.
      video.addEventListener("loadedmetadata", () => { video.currentTime = from; }, { once: true });
      video.src = url;
      return;
    }
    if (!root.dataset.library) throw new Error(NO_HLS);
    const Hls = await hlsJs(root.dataset.library);
    if (isStale()) return;
    if (!Hls?.isSupported()) throw new Error(NO_HLS);
    // A worker would be a script that the page's policy does not know.
    const hls = new Hls({ enableWorker: false, startPosition: from });
    state.hls = hls;
    let mended = false;
    hls.on(Hls.Events.ERROR, (_, { fatal, type, details }) => {
      if (!fatal) return;
      if (type === Hls.ErrorTypes.MEDIA_ERROR && !mended) {
        mended = true;
        hls.recoverMediaError();
      } else fail(`${FAULTS[type === Hls.ErrorTypes.NETWORK_ERROR ? 2 : 3]} (${details})`);
    });
    hls.on(Hls.Events.AUDIO_TRACKS_UPDATED, sounds);
    hls.loadSource(url);
    hls.attachMedia(video);
  }

  function unload() {
    state.hls?.destroy();
    Object.assign(state, { loaded: null, times: null, hls: null, done: false });
    if (video.hasAttribute("src")) {
      video.removeAttribute("src");
      video.load();
    }
    one("#sound").hidden = true;
    say();
    draw();
  }

  function fail(what) {
    unload();
    say(what);
  }

  // -- Playing.
  async function play() {
    if (!state.chosen) return;
    if (!state.loaded) await load();
    if (!state.times) return;
    if (state.done || position() < state.chosen[0] - 1 || position() >= state.chosen[1]) seek(state.chosen[0]);
    state.done = false;
    try {
      await video.play();
    } catch (error) {
      if (error.name === "NotAllowedError") say("Press Play: this browser wants to be asked");
    }
  }

  function seek(utc) {
    if (!state.times) return;
    state.done = false;
    const [from, to] = state.loaded;
    video.currentTime = state.times.at(Math.min(Math.max(utc, from), to - state.step));
    follow();
  }

  // Stops after the picture before the out point: the segment goes on.
  function end(at) {
    if (!state.times || video.paused || video.seeking || at < state.times.at(state.chosen[1]) - 0.001) return;
    video.pause();
    state.done = true;
    say("The end of the range");
  }

  let before = 0;
  function eachPicture(_, { mediaTime }) {
    const step = mediaTime - before;
    if (step > 0.001 && step < 0.2) state.step = step;
    before = mediaTime;
    end(mediaTime + state.step);
    video.requestVideoFrameCallback(eachPicture);
  }
  video.requestVideoFrameCallback?.(eachPicture);

  video.addEventListener("timeupdate", () => { follow(); end(video.currentTime); });
  video.addEventListener("seeked", () => follow());
  video.addEventListener("ended", () => { state.done = true; say("The end of the range"); });
  video.addEventListener("waiting", () => say("Loading"));
  video.addEventListener("playing", () => say());
  video.addEventListener("canplay", () => { if (!state.done && one("#played").textContent === "Loading") say(); });
  video.addEventListener("error", () => { if (video.error && state.loaded) fail(FAULTS[video.error.code] ?? "It stopped"); });
  for (const event of ["play", "pause"]) video.addEventListener(event, buttons);

  // -- What is shown.
  function buttons() {
    toggle.textContent = video.paused ? "Play" : "Pause";
    start.hidden = !video.paused || (state.times !== null && video.currentTime > 0);
  }

  function draw() {
    buttons();
    bar.replaceChildren();
    const [from, to] = state.loaded ?? state.chosen ?? [0, 1];
    bar.setAttribute("viewBox", `0 0 ${to - from} 32`);
    bar.setAttribute("aria-valuemax", Math.round(to - from));
    [one("#span-start").textContent, one("#span-end").textContent] = [told(from), told(to)];
    const part = (name, start, end, y, height) => {
      [start, end] = [Math.max(start, from), Math.min(end, to)];
      if (end > start) shape("rect", { class: name, x: start - from, width: end - start, y, height });
    };
    if (state.times) {
      let at = from;
      for (const { utc, seconds } of state.times.all) {
        part("missing", at, utc, 13, 6);
        part("archived", utc, utc + seconds, 6, 20);
        at = utc + seconds;
      }
      part("missing", at, to, 13, 6);
    } else part("ghost", from, to, 6, 20);
    if (state.loaded && state.chosen !== state.loaded) part("chosen", ...state.chosen, 2, 28);
    shape("path", { class: "playhead" });
    follow();
  }

  function shape(name, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    bar.append(made);
  }

  function follow() {
    const [from, utc] = state.times ? [state.loaded[0], position()] : [0, null];
    // In tenths: the two digits behind them would only flicker.
    const text = utc === null ? "" : told(utc).replace(/(\.\d)\d+$/, "$1");
    clock.textContent = text;
    bar.setAttribute("aria-valuenow", utc === null ? 0 : Math.round(utc - from));
    bar.setAttribute("aria-valuetext", text || "not loaded");
    one(".playhead", bar).setAttribute("d", utc === null ? "" : `M${Math.max(0, utc - from)} 1v30`);
  }

  function sounds() {
    const [label, list] = [one("#sound"), one("#sound select")];
    const tracks = state.hls?.audioTracks ?? [...(video.audioTracks ?? [])];
    label.hidden = tracks.length < 2;
    list.replaceChildren(...tracks.map(({ name, label, lang, language }, n) => new Option(name || label || lang || language, n)));
    list.value = state.hls ? state.hls.audioTrack : tracks.findIndex((track) => track.enabled);
  }
  video.addEventListener("loadedmetadata", sounds);
  one("#sound select").addEventListener("change", ({ target }) => {
    if (state.hls) state.hls.audioTrack = +target.value;
    else [...video.audioTracks].forEach((track, n) => { track.enabled = n === +target.value; });
  });

  // -- Pointer.
  function under(event) {
    const [box, [from, to]] = [bar.getBoundingClientRect(), state.loaded ?? state.chosen];
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    return from + share * (to - from);
  }
  bar.addEventListener("pointerdown", async (event) => {
    if (event.button !== 0) return;
    bar.setPointerCapture(event.pointerId);
    const to = under(event);
    if (!state.loaded) await load();
    seek(to);
  });
  bar.addEventListener("pointermove", (event) => {
    const utc = under(event);
    if (event.buttons & 1) seek(utc);
    if (event.pointerType !== "mouse") return;
    const [from, to] = state.loaded ?? state.chosen;
    const pixel = Math.max(1, (to - from) / bar.getBoundingClientRect().width);
    peek.show(Math.floor(utc / pixel) * pixel, event, bar, !state.times || state.times.has(utc));
  });
  bar.addEventListener("pointerleave", () => peek.hide());

  // -- Keys.
  const STEPS = { ArrowLeft: -5, ArrowRight: 5, ArrowDown: -5, ArrowUp: 5, PageDown: -60, PageUp: 60 };
  root.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, a, button") || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === " ") toggle.click();
    else if (event.key === "i" || event.key === "o") mark(event.key === "i" ? "from" : "to");
    else if (!state.times) return;
    else if (event.shiftKey && event.key.startsWith("Arrow")) seek(position() + Math.sign(STEPS[event.key]) * state.step);
    else if (event.key in STEPS) seek(position() + STEPS[event.key]);
    else if (event.key === "Home") seek(state.chosen[0]);
    else if (event.key === "End") seek(state.chosen[1]);
    else return;
    event.preventDefault();
  });

  // -- Buttons.
  toggle.addEventListener("click", () => (video.paused ? play() : video.pause()));
  start.addEventListener("click", play);
  video.addEventListener("click", () => toggle.click());
  one("#mark-in").addEventListener("click", () => mark("from"));
  one("#mark-out").addEventListener("click", () => mark("to"));
  one("#mute").addEventListener("click", () => { video.muted = !video.muted; });
  video.addEventListener("volumechange", () => one("#mute").setAttribute("aria-pressed", video.muted));
  one("#full").hidden = !document.fullscreenEnabled;
  one("#full").addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen()));
  one("#copy-page").addEventListener("click", async ({ target }) => {
    const link = Object.assign(document.createElement("a"), { href: filled(root.dataset.page, state.chosen) });
    link.textContent = link.href;
    say(link);
    await copy(link, target);
  });
  one("#hold")?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const note = event.target.elements.note.value.trim() || null;
    const [start, end] = state.chosen.map(iso);
    const body = JSON.stringify({ channel: root.dataset.channel, range: { start, end }, note });
    try {
      const options = { method: "POST", headers: { "Content-Type": "application/json" }, body };
      const { id } = JSON.parse(await asked(root.dataset.holds, options));
      say(`Held, as hold ${id}: nothing of it is pruned until that is removed`);
    } catch (error) {
      say(`Not held: ${error.message}`);
    }
  });

  form.addEventListener("chosen", choose);
  choose();
  // A link to a clip that is to play.
  if (location.hash === "#play" && state.chosen) {
    root.scrollIntoView({ block: "center" });
    play();
  }
}

if (one("#player") && one("#calendar.ready")) {
  const peek = peeker();
  peekAtCalendar(peek);
  player(peek);
}
