// What a document cannot do by itself: keep up to date, show a log in its place, and on the calendar of a channel tell the chunk
// under the pointer, move by keys, select a range and copy its links. Without it everything can still be read.
"use strict";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector, within = document) => within.querySelector(selector);

async function fetched(url, signal) {
  const answer = await fetch(url, { headers: { Accept: "text/html" }, cache: "no-cache", signal });
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// ---- Keeping up to date: [data-live="3"] is asked for again every 3 seconds, while somebody looks.

function stayLive() {
  const live = one("[data-live]");
  if (!live) return;
  const seconds = Number(live.dataset.live);
  let text = live.innerHTML;
  const again = async () => {
    try {
      if (!document.hidden) {
        const fresh = one("[data-live], #main > div", await fetched(location.href));
        if (fresh && fresh.innerHTML !== text) {
          text = fresh.innerHTML;
          replace(live, fresh);
        }
        // A job that has ended is asked for no more.
        if (fresh && !fresh.hasAttribute("data-live")) return;
      }
    } catch {
      // A server that is away for a moment is asked again; what is shown stays.
    }
    setTimeout(again, seconds * 1000);
  };
  setTimeout(again, seconds * 1000);
}

// New content in place of the old. What was opened stays open, what was scrolled stays where it was, focus stays.
function replace(live, fresh) {
  const open = new Map();
  for (const details of all("[data-key] details[open]", live)) open.set(details.closest("[data-key]").dataset.key, details);
  const focus = document.activeElement && live.contains(document.activeElement) ? pathTo(document.activeElement) : null;
  const log = one("#log", live);
  const scrolled = log && { top: log.scrollTop, atEnd: log.scrollTop + log.clientHeight >= log.scrollHeight - 4 };
  live.replaceChildren(...fresh.childNodes);
  for (const [key, details] of open) {
    const now = one(`[data-key="${CSS.escape(key)}"] details`, live);
    if (!now) continue;
    now.replaceWith(details);
    load(details);
  }
  const newLog = one("#log", live);
  if (newLog && scrolled) newLog.scrollTop = scrolled.atEnd ? newLog.scrollHeight : scrolled.top;
  if (focus) one(focus, live)?.focus({ preventScroll: true });
}

function pathTo(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  const key = element.closest("[data-key]");
  const within = key ? `[data-key="${CSS.escape(key.dataset.key)}"] ` : "";
  const href = element.getAttribute("href");
  return within + element.localName + (href ? `[href="${CSS.escape(href)}"]` : "");
}

// ---- Logs: fetched when they are opened, and again while their job runs.

function showLogs() {
  document.addEventListener("toggle", (event) => {
    if (event.target.matches?.("details[data-log]") && event.target.open) load(event.target);
  }, true);
}

async function load(details) {
  try {
    const page = await fetched(details.dataset.log);
    const log = one("#log", page) ?? one("#log-title + p", page);
    if (!log) return;
    log.removeAttribute("id");
    const old = one(".log", details);
    const scrolled = old?.scrollTop;
    all(":scope > :not(summary)", details).forEach((node) => node.remove());
    details.append(log);
    if (scrolled) log.scrollTop = scrolled;
  } catch {
    // The link to the log stands there.
  }
}

// ---- The calendar.

const WORDS = {
  archived: "archived", partial: "with gaps", missing: "missing", open: "not yet archived",
  capturing: "being captured", failed: "failed, and tried again",
};
const iso = (s) => new Date(Math.round(s * 1000)).toISOString().replace(".000Z", "Z");
const told = (s) => iso(s).replace("T", " ").replace("Z", "");

function calendar() {
  const root = one("#calendar");
  if (!root) return;
  const grid = Number(root.dataset.grid);
  const lines = all("svg[data-start]", root).map((svg) => {
    const start = Number(svg.dataset.start);
    const runs = svg.dataset.runs.split(" ").filter(Boolean).map((run) => run.split(","));
    return { svg, start, seconds: svg.viewBox.baseVal.width, runs: runs.map(([at, n, word]) => [start + +at, start + +at + +n, word]) };
  });
  if (!lines.length) return;
  const first = Math.min(...lines.flatMap((line) => line.runs.map((run) => run[0])), Infinity);
  const last = Math.max(...lines.flatMap((line) => line.runs.map((run) => run[1])), -Infinity);
  if (first > last) return;
  const state = { anchor: null, head: null, dragging: false };

  const lineAt = (s) => lines.find((line) => s >= line.start && s < line.start + line.seconds);
  const runAt = (s) => lineAt(s)?.runs.find((run) => s >= run[0] && s < run[1]);
  const snap = (s) => Math.floor(s / grid) * grid;
  const within = (s) => Math.min(Math.max(s, snap(first)), snap(last - 1));

  function at(event, line) {
    const box = line.svg.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 0.999999);
    return within(snap(line.start + share * line.seconds));
  }

  function lineUnder(event) {
    const found = lines.find((line) => { const box = line.svg.getBoundingClientRect(); return event.clientY < box.bottom; });
    return found ?? lines[lines.length - 1];
  }

  // -- What is drawn over the bars.
  function draw() {
    all(".chosen, .cursor", root).forEach((mark) => mark.remove());
    const range = chosen();
    if (range) lines.forEach((line) => mark(line, "chosen", range[0], range[1], 1, 30));
    if (state.head !== null) {
      const line = lineAt(state.head);
      if (line) mark(line, "cursor", state.head, state.head + grid, 2, 28);
    }
  }

  function mark(line, name, from, to, y, height) {
    const start = Math.max(from, line.start), end = Math.min(to, line.start + line.seconds);
    if (end <= start) return;
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, value] of Object.entries({ class: name, x: start - line.start, width: end - start, y, height })) rect.setAttribute(key, value);
    line.svg.append(rect);
  }

  function chosen() {
    if (state.anchor === null || state.head === null) return null;
    return [Math.min(state.anchor, state.head), Math.max(state.anchor, state.head) + grid];
  }

  // -- What is said of it.
  const tell = one("#tell");
  const idle = tell.textContent;
  function say(s, gist) {
    const word = gist ?? WORDS[runAt(s)?.[2]] ?? "nothing";
    if (!gist) rest(s);
    const range = chosen();
    const length = range ? ` · ${duration(range[1] - range[0])} selected, ${told(range[0])} to ${told(range[1])}` : "";
    tell.textContent = `${told(s)} · ${word}${length}`;
  }

  function duration(s) {
    const parts = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]].map(([n, unit]) => { const count = Math.floor(s / n); s -= count * n; return count ? `${count}${unit}` : ""; });
    return parts.filter(Boolean).slice(0, 2).join(" ");
  }

  // The whole story of a chunk is the server's. It is asked for once whoever looks has rested on it, and kept for a while.
  const known = new Map();
  function story(s) {
    if (known.size > 200) known.clear();
    if (!known.has(s)) {
      known.set(s, fetched(`${root.dataset.cell}?at=${iso(s)}`).then((page) => one("section", page)).catch(() => { known.delete(s); return null; }));
      setTimeout(() => known.delete(s), 10_000);
    }
    return known.get(s);
  }

  async function detail(s) {
    const section = await story(s);
    if (state.head === s) one("#cell").replaceChildren(...(section ? [section.cloneNode(true)] : []));
  }

  let resting = 0;
  let rested = null;
  function rest(s) {
    if (s === rested) return;
    rested = s;
    clearTimeout(resting);
    resting = setTimeout(async () => {
      const section = await story(s);
      if (section && rested === s && !state.dragging) say(s, section.dataset.told);
    }, 150);
  }

  // -- The range, its fields and its links.
  const form = one("#selection form");
  const list = one("#links");
  function offer(range) {
    form.elements.from.value = range ? iso(range[0]) : "";
    form.elements.to.value = range ? iso(range[1]) : "";
    one("#clear").hidden = !range;
    links();
  }

  function links() {
    const [from, to] = [form.elements.from.value.trim(), form.elements.to.value.trim()];
    const whole = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
    const good = whole.test(from) && whole.test(to) && from < to;
    list.hidden = !good;
    form.dispatchEvent(new Event("chosen"));
    if (!good) return;
    for (const link of all("a[data-pattern]", list)) {
      const url = link.dataset.pattern.replace("{start}", from).replace("{end}", to);
      link.href = url;
      link.textContent = url;
    }
  }

  function choose(anchor, head) {
    state.anchor = anchor;
    state.head = head;
    draw();
    say(head);
    offer(chosen());
  }

  // -- Pointer.
  root.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.target.closest("svg")) return;
    const s = at(event, lineUnder(event));
    // A finger scrolls; it selects by a tap on the first chunk and another on the last.
    if (event.pointerType === "touch") return;
    event.preventDefault();
    root.focus({ preventScroll: true });
    root.setPointerCapture(event.pointerId);
    state.dragging = true;
    choose(event.shiftKey && state.anchor !== null ? state.anchor : s, s);
  });
  root.addEventListener("pointermove", (event) => {
    if (state.dragging) {
      const s = at(event, lineUnder(event));
      if (s !== state.head) choose(state.anchor, s);
    } else if (event.target.closest("svg") && event.pointerType === "mouse") {
      const s = at(event, lineUnder(event));
      if (s !== rested) say(s);
    }
  });
  const drop = () => {
    if (!state.dragging) return;
    state.dragging = false;
    if (state.anchor === state.head) detail(state.head);
  };
  root.addEventListener("pointerup", drop);
  root.addEventListener("pointercancel", drop);
  root.addEventListener("click", (event) => {
    if (event.pointerType !== "touch" || !event.target.closest("svg")) return;
    const s = at(event, lineUnder(event));
    const begun = state.anchor !== null && state.anchor === state.head && s !== state.anchor;
    choose(begun ? state.anchor : s, s);
    if (!begun) detail(s);
  });
  root.addEventListener("pointerleave", () => {
    if (state.dragging) return;
    clearTimeout(resting);
    rested = null;
    if (state.head !== null) say(state.head);
    else tell.textContent = idle;
  });

  // -- Keys.
  const STEPS = { ArrowLeft: -1, ArrowRight: 1 };
  root.addEventListener("keydown", (event) => {
    if (event.target !== root || event.altKey || event.ctrlKey || event.metaKey) return;
    const line = lines[0].seconds;
    const from = state.head ?? within(snap(last - 1));
    let to = null;
    if (event.key in STEPS) to = state.head === null ? from : from + STEPS[event.key] * grid;
    else if (event.key === "ArrowUp") to = from - line;
    else if (event.key === "ArrowDown") to = from + line;
    else if (event.key === "Home") to = Math.max(lineAt(from)?.start ?? from, first);
    else if (event.key === "End") { const here = lineAt(from); to = here ? Math.min(here.start + here.seconds, last) - grid : from; }
    else if (event.key === "Enter" && state.head !== null) { event.preventDefault(); detail(state.head); return; }
    else if (event.key === "Escape") { event.preventDefault(); clear(); return; }
    if (to === null) return;
    event.preventDefault();
    to = within(snap(to));
    if (event.shiftKey) choose(state.anchor ?? from, to);
    else choose(to, to);
  });

  function clear() {
    Object.assign(state, { anchor: null, head: null });
    draw();
    tell.textContent = idle;
    offer(null);
  }

  one("#clear").addEventListener("click", clear);
  form.addEventListener("input", links);
  root.tabIndex = 0;
  root.setAttribute("role", "application");
  root.setAttribute("aria-label", "Coverage. Arrows move from chunk to chunk, Shift and an arrow selects, Enter tells the chunk, Escape clears.");
  root.setAttribute("aria-describedby", "tell");
  root.classList.add("ready");
  document.body.classList.add("ready");

  // A range that was asked for is the one that is chosen, and can be made longer.
  const asked = [form.elements.from.value, form.elements.to.value].map((text) => Date.parse(text) / 1000);
  if (asked.every(Number.isFinite)) {
    Object.assign(state, { anchor: within(snap(asked[0])), head: within(snap(asked[1] - 1)) });
    one("#clear").hidden = false;
  }
}

// ---- Copying.

function copying() {
  for (const button of all("button.copy")) {
    button.hidden = false;
    button.setAttribute("aria-label", `Copy the ${one(".label", button.closest("li")).textContent} link`);
    button.addEventListener("click", () => copy(one("a", button.closest("li")), button));
  }
}

async function copy(link, button) {
  const idle = button.dataset.idle ??= button.textContent;
  let done = true;
  try {
    await navigator.clipboard.writeText(link.href);
  } catch {
    // Without TLS a browser may have no clipboard: the text is selected, for Ctrl-C.
    getSelection().selectAllChildren(link);
    done = document.execCommand("copy");
  }
  button.textContent = done ? "Copied" : "Selected";
  setTimeout(() => { button.textContent = idle; }, 1500);
}

// ---- Filters answer at once.

function submitting() {
  for (const form of all("form[data-submit]")) {
    form.addEventListener("change", () => form.requestSubmit());
    all("button", form).forEach((button) => { button.hidden = true; });
  }
}

// ---- A link to something folded up unfolds it.

function unfold() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
}

addEventListener("hashchange", unfold);
unfold();
stayLive();
showLogs();
calendar();
copying();
submitting();
