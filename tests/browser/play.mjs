// Somebody else's player in chromium, on a playlist of npvr: node play.mjs PLAYER URL [SCREENSHOT]
//
// PLAYER is native, hls, shaka or dash. It plays, seeks into the middle, goes across every boundary of chunks and every gap that is
// looked for in the playlist, and switches to each height of the picture and each language of the simulated origin. Exits with 0 if all of it went well; else with 1, and says what did not. Any complaint of the player or the browser counts.
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { browse } from "./chromium.mjs";

const tools = process.env.NPVR_BROWSER_TOOLS;
const [player, url, shot] = process.argv.slice(2);
const HEIGHTS = [180, 360];
const LANGUAGES = ["nld", "eng"];
const SCRIPTS = {
  hls: "hls.js/dist/hls.js",
  shaka: "shaka-player/dist/shaka-player.compiled.js",
  dash: "dashjs/dist/modern/umd/dash.all.min.js",
};
// No step takes longer, on a machine that does much else.
const PATIENCE_MS = 30_000;

// A page of another site, as players are embedded.
const PAGE = '<!doctype html><title>player</title><video id="v" width="640" height="360" muted crossorigin="anonymous"></video><script src="/player.js"></script>';
const site = createServer((request, response) => {
  const path = new URL(request.url, "http://a/").pathname;
  response.setHeader("Content-Type", path === "/player.js" ? "text/javascript" : "text/html");
  if (path === "/") response.end(PAGE);
  else if (path === "/player.js" && SCRIPTS[player]) createReadStream(join(tools, "node_modules", SCRIPTS[player])).pipe(response);
  else response.end();
});

const text = async (url) => (await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS) })).text();

// Where a playlist ends, and what is to be played across, in seconds.
async function plan() {
  const found = await text(url);
  return url.includes(".mpd") ? ofDash(found) : ofHls(await text(new URL(found.split("\n").find((line) => line && !line.startsWith("#")), url)));
}

function ofHls(playlist) {
  let end = 0, seconds = 0, chunk = null, chunks = [], breaks = [];
  for (const line of playlist.split("\n")) {
    if (line.startsWith("#EXTINF:")) seconds = parseFloat(line.slice(8));
    if (line === "#EXT-X-DISCONTINUITY") breaks.push(end);
    if (!line || line.startsWith("#")) continue;
    if (chunk !== null && chunk !== line && breaks.at(-1) !== end) chunks.push(end);
    chunk = line;
    end += seconds;
  }
  return { end, chunks, breaks };
}

function ofDash(mpd) {
  const seconds = (text) => [...text.matchAll(/([\d.]+)([HMS])/g)].reduce((sum, [, n, unit]) => sum + n * { H: 3600, M: 60, S: 1 }[unit], 0);
  const starts = [...mpd.matchAll(/<Period[^>]* start="PT([^"]+)"/g)].map(([, start]) => seconds(start));
  // The chunks of the test have ten seconds, and what is asked for begins two seconds after the start of one.
  return { end: seconds(mpd.match(/mediaPresentationDuration="PT([^"]+)"/)[1]), chunks: [8], breaks: starts.slice(1) };
}

// What each player is asked for; runs in the page. Everything there is a function of `window.at`.
const PLAYERS = {
  async native(url) {
    const v = window.v;
    v.addEventListener("error", () => window.errors.push(`media ${v.error.code}: ${v.error.message}`));
    v.src = url;
    // No language or rendition can be chosen from outside.
    window.at = {};
  },
  async hls(url) {
    // What a seek gives up; and the tenth of a second that hls.js steps over where a new line of time begins with pictures that are
    // decoded before they are shown: it does not know of edit lists.
    const NOTICES = ["aborted", "bufferStalledError", "bufferSeekOverHole"];
    const hls = new Hls({ startLevel: 0 });
    hls.on(Hls.Events.ERROR, (_, data) => !NOTICES.includes(data.details) && window.errors.push(`hls.js ${data.fatal ? "fatal " : ""}${data.details}: ${data.error ?? data.reason ?? ""}`));
    const ready = new Promise((resolve) => hls.once(Hls.Events.MANIFEST_PARSED, resolve));
    hls.loadSource(url);
    hls.attachMedia(window.v);
    await ready;
    window.at = {
      rendition: (height) => { hls.currentLevel = hls.levels.findIndex((level) => level.height === height); },
      language: (language) => {
        hls.audioTrack = hls.audioTracks.findIndex((track) => track.lang?.startsWith(language.slice(0, 2)));
      },
      spoken: () => hls.audioTracks[hls.audioTrack]?.lang,
    };
  },
  async shaka(url) {
    shaka.polyfill.installAll();
    const player = new shaka.Player();
    await player.attach(window.v);
    player.configure({ abr: { enabled: false } });
    const told = ({ detail }) => window.errors.push(`shaka ${detail.code}: ${JSON.stringify(detail.data)}`);
    player.addEventListener("error", told);
    await player.load(url).catch((detail) => told({ detail }));
    window.at = {
      rendition: (height) => {
        const active = player.getVariantTracks().find((track) => track.active);
        const wanted = player.getVariantTracks().find((track) => track.height === height && track.language === active.language);
        player.selectVariantTrack(wanted, true);
      },
      language: (language) => {
        const track = player.getAudioTracks().find((track) => track.language.startsWith(language.slice(0, 2)));
        player.selectAudioTrack(track);
      },
      spoken: () => player.getAudioTracks().find((track) => track.active)?.language,
    };
  },
  async dash(url) {
    const player = dashjs.MediaPlayer().create();
    player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) => window.errors.push(`dash.js ${error.code}: ${error.message}`));
    player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: false } } } });
    player.initialize(window.v, url, false);
    await new Promise((resolve) => player.on(dashjs.MediaPlayer.events.STREAM_INITIALIZED, resolve));
    const track = (language) => player.getTracksFor("audio").find((track) => track.lang?.startsWith(language.slice(0, 2)));
    window.at = {
      rendition: (height) => {
        player.setRepresentationForTypeById("video", player.getRepresentationsByType("video").find((one) => one.height === height).id, true);
      },
      language: (language) => player.setCurrentTrack(track(language)),
      spoken: () => player.getCurrentTrackFor("audio")?.lang,
    };
  },
};

const { complaints, complain, browser } = await browse();
let where = "start";
const page = await browser.newPage();
const note = (what) => complain(`${player} ${where}: ${what}`);
// What dash.js says of each period that one track begins or ends some milliseconds before another: frames of sound are not those of
// pictures.
const isSmall = (text) => /(Jumping by: |Adjusting time by )0\.0\d*/.test(text);
page.on("console", (message) => isSmall(message.text()) || note(`console ${message.type()}: ${message.text()}`));
page.on("pageerror", (error) => note(`error: ${error}`));
page.on("response", (answer) => answer.status() >= 400 && note(`${answer.url()}: ${answer.status()}`));
page.on("requestfailed", (request) => {
  const why = request.failure()?.errorText;
  if (why !== "net::ERR_ABORTED") note(`${request.url()}: ${why}`);
});

// Waits until `is` holds in the page, or an error was told there.
async function until(what, is, argument) {
  const all = page.waitForFunction(([is, argument]) => window.errors.length || new Function("x", `return ${is}`)(argument), [is, argument], { timeout: PATIENCE_MS });
  await all.catch(async () => note(`it never came to pass that ${what}: ${JSON.stringify(await state())}`));
  for (const error of await page.evaluate(() => window.errors.splice(0))) note(error);
}

const state = () => page.evaluate(() => {
  const { v } = window;
  const ranges = (all) => [...Array(all.length).keys()].map((n) => [all.start(n).toFixed(2), all.end(n).toFixed(2)].join("-"));
  return {
    time: v.currentTime, duration: v.duration, ready: v.readyState, paused: v.paused, seeking: v.seeking, height: v.videoHeight,
    decoded: v.getVideoPlaybackQuality().totalVideoFrames, shown: window.frames.length, buffered: ranges(v.buffered), last: window.frames.at(-1),
  };
});

// Nobody waits for its promise, which is kept for as long as nothing plays.
const go = () => { window.v.play().catch(() => {}); };

// Plays from `from` until the picture of `to` is shown; new pictures have to come all the while.
async function across(from, to) {
  const before = await state();
  await page.evaluate((from) => { window.v.pause(); window.frames.length = 0; window.v.currentTime = from; }, from);
  await until(`it seeks to ${from}`, "!v.seeking && v.readyState >= 2");
  await page.evaluate(go);
  await until(`it plays from ${from} to ${to}`, "v.currentTime >= x || v.ended", to);
  // Some may have been on their way before the seek.
  await page.evaluate(([from, to]) => { window.frames = window.frames.filter((at) => at > from - 2 && at < to + 2); }, [from, to]);
  const after = await state();
  if (after.decoded <= before.decoded || after.shown < 3) note(`no pictures from ${from} to ${to}: ${JSON.stringify(after)}`);
  const off = await page.evaluate((from) => Math.min(...window.frames.map((at) => Math.abs(at - from))), from);
  if (off > 0.2) note(`the picture nearest to a seek to ${from} is ${off} s off`);
}

try {
  await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
  await page.goto(`http://127.0.0.1:${site.address().port}/`);
  await page.evaluate(() => {
    window.v = document.querySelector("#v");
    window.errors = [];
    // The times of the pictures that were shown.
    window.frames = [];
    const next = (_, { mediaTime }) => { window.frames.push(mediaTime); window.v.requestVideoFrameCallback(next); };
    window.v.requestVideoFrameCallback(next);
    window.v.addEventListener("ended", () => { window.ended = true; });
  });
  const load = page.evaluate(`(${PLAYERS[player].toString().replace(/^async \w+/, "async function")})(${JSON.stringify(url)})`);
  await Promise.race([load, page.waitForFunction(() => window.at, null, { timeout: PATIENCE_MS })]);
  await until("it has data", "v.readyState >= 2");
  await page.evaluate(go);
  await until("pictures are shown", "frames.length > 20 && v.currentTime > 1");
  const { duration } = await state();
  const { end, chunks, breaks } = await plan();
  if (Math.abs(duration - end) > 0.5) note(`it takes ${duration} s, and not ${end}`);
  where = "middle";
  await across(end / 2 + 5, end / 2 + 6);
  if (!chunks.length || !breaks.length) note("there is no boundary of chunks, or no gap, in the playlist");
  for (const place of [chunks[0], ...breaks]) {
    where = `across ${place}`;
    await across(place - 1.5, place + 1.5);
  }
  const can = await page.evaluate(() => Object.keys(window.at));
  if (can.includes("rendition")) {
    for (const height of HEIGHTS) {
      where = `rendition ${height}`;
      await page.evaluate((height) => { window.frames.length = 0; window.at.rendition(height); }, height);
      await page.evaluate(go);
      await until(`the picture has ${height} lines, and goes on`, "v.videoHeight === x && frames.length > 10", height);
    }
    for (const language of LANGUAGES) {
      where = `language ${language}`;
      const from = Math.min((await state()).time, end - 8);
      await page.evaluate((from) => { window.v.currentTime = from; window.v.play().catch(() => {}); }, from);
      await page.evaluate(async (language) => { window.heard = window.v.webkitAudioDecodedByteCount; await window.at.language(language); }, language);
      await until(`${language} is heard`, "at.spoken()?.startsWith(x.slice(0, 2)) && v.webkitAudioDecodedByteCount > heard", language);
    }
  }
  where = "end";
  await page.evaluate((at) => { window.ended = false; window.v.currentTime = at; window.v.play().catch(() => {}); }, end - 2);
  // dash.js may make the presentation a hundredth longer at the moment at which it ends, and then stands still there.
  await until("it ends", "ended || (v.paused && v.currentTime > v.duration - 0.05)");
  if (shot) await page.screenshot({ path: shot });
} catch (error) {
  note(error.stack);
} finally {
  await browser.close();
  site.close();
}
complaints.forEach((what) => console.log(what));
process.exit(complaints.length ? 1 : 0);
