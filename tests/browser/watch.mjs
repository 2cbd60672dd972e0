// A person at the player of a channel's page, in chromium: node watch.mjs VIEW URL SCREENSHOT
//
// URL has a range, which begins to play. VIEW is a width and a scheme; or `hls-js`, in a browser that plays no HLS by itself;
// `no-hls`, where the server has no hls.js either; `demo`, where only playing is looked at. Exits with 0 if all went well.
import { browse } from "./chromium.mjs";

const [view, url, shot] = process.argv.slice(2);
const VIEWS = {
  "desk-dark": { width: 1280, height: 900, colorScheme: "dark" },
  "phone-light": { width: 390, height: 844, colorScheme: "light", hasTouch: true },
  "phone-dark": { width: 360, height: 780, colorScheme: "dark", hasTouch: true },
};
const { width, height, ...rest } = VIEWS[view] ?? { width: 1280, height: 900, colorScheme: "light" };
const PATIENCE_MS = 30_000;

const { browser, complaints, complain } = await browse();
const context = await browser.newContext({ viewport: { width, height }, permissions: ["clipboard-write"], ...rest });
const page = await context.newPage();
page.setDefaultTimeout(PATIENCE_MS);
let where = view;
const note = (what) => complain(`${where}: ${what}`);
const expect = (truth, what) => truth || note(what);
page.on("console", (message) => note(`console ${message.type()}: ${message.text()}`));
page.on("pageerror", (error) => note(`error: ${error}`));
page.on("response", (answer) => answer.status() >= 400 && note(`${answer.url()}: ${answer.status()}`));
page.on("requestfailed", (request) => request.failure()?.errorText !== "net::ERR_ABORTED" && note(`${request.url()}: ${request.failure()?.errorText}`));
if (view.includes("hls")) await page.addInitScript(() => { HTMLMediaElement.prototype.canPlayType = () => ""; });

const said = () => page.textContent("#played");
const seconds = (text) => Date.parse(`${text.trim().replace(" ", "T")}Z`) / 1000;
const clock = async () => seconds(await page.textContent("#clock"));
// Waits until the clock of the page shows a time in that span.
const showsFrom = (from, to = Infinity) => page.waitForFunction(([from, to]) => {
  const at = Date.parse(`${document.querySelector("#clock").textContent.replace(" ", "T")}Z`) / 1000;
  return at >= from && at < to;
}, [from, to]);
const near = async (wanted, by, what) => {
  const at = await clock();
  expect(Math.abs(at - wanted) <= by, `${what}: ${at - wanted} s off`);
};
const picture = () => page.waitForFunction(() => {
  const canvas = document.querySelector("#peek canvas");
  // One that is all of one colour has some hundred bytes.
  return !canvas.hidden && !document.querySelector("#peek").hidden && canvas.toDataURL().length > 5_000;
});

async function plays([from, to]) {
  await page.goto(url);
  await page.waitForFunction(() => !document.querySelector("video").paused && document.querySelector("video").currentTime > 0);
  await showsFrom(from);
  await near(from, 3, "it begins at the in point");
  const before = await page.evaluate(() => document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames);
  await showsFrom(from + 1.5);
  const after = await page.evaluate(() => document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames);
  expect(after > before + 10, `only ${after - before} pictures in a second`);
  expect(!(await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)), "wider than the window");
  await page.screenshot({ path: shot, fullPage: true });
}

// By keys, with the bar in focus.
async function byKeys([from]) {
  where = `${view} keys`;
  await page.locator("#seek").focus();
  await page.keyboard.press("Space");
  await page.waitForFunction(() => document.querySelector("video").paused && document.querySelector("#toggle").textContent === "Play");
  await page.keyboard.press("Home");
  await showsFrom(from - 0.05, from + 0.05);
  await page.keyboard.press("ArrowRight");
  await showsFrom(from + 4.9, from + 5.1);
  expect((await page.getAttribute("#seek", "aria-valuetext")).length > 10, "the bar tells the time");
  await page.keyboard.press("Shift+ArrowRight");
  await showsFrom(from + 4.95, from + 5.2);
  await page.keyboard.press("i");
  const marked = Date.parse(await page.inputValue("[name=from]")) / 1000;
  expect(Math.abs(marked - from - 5) < 0.2, `the range begins here, and not at ${marked - from}`);
  expect((await page.getAttribute("#links a", "href")).includes(await page.inputValue("[name=from]")), "links follow");
}

async function byPointer([from, to]) {
  where = `${view} pointer`;
  const gap = page.locator("#seek .missing").first();
  expect((await gap.count()) === 1, "the gap is on the bar");
  const x = Number(await gap.getAttribute("x")), length = Number(await gap.getAttribute("width"));
  expect(length > 5 && length < 15, `the gap has ten seconds, and not ${length}`);
  await page.locator("#seek").scrollIntoViewIfNeeded();
  const box = await page.locator("#seek").boundingBox();
  const at = (utc) => ({ x: box.x + (box.width * (utc - from)) / (to - from), y: box.y + box.height / 2 });
  const before = from + x - 2;
  const [point, ahead] = [at(before), at(to - 8)];
  if (rest.hasTouch) await page.touchscreen.tap(point.x, point.y);
  else {
    await page.mouse.move(ahead.x, ahead.y);
    await picture();
    if (view === "desk-light") await page.screenshot({ path: shot.replace(".png", "-peek.png") });
    await page.mouse.click(point.x, point.y);
    await page.mouse.move(0, 0);
  }
  await showsFrom(before - 1.2, before + 1.2);
  // On over the gap, which takes no time.
  await page.locator("#toggle").click();
  await showsFrom(from + x + length - 0.1, from + x + length + 5);
  if (!rest.hasTouch) {
    const line = page.locator("svg[data-start] .archived").first();
    await line.scrollIntoViewIfNeeded();
    const there = await line.boundingBox();
    await page.mouse.move(there.x + there.width * 0.3, there.y + there.height / 2);
    await picture();
    await page.mouse.move(0, 0);
  }
}

async function buttons() {
  where = `${view} buttons`;
  if ((await page.textContent("#toggle")) === "Pause") await page.locator("#toggle").click();
  await page.locator("#hold input").fill("for the test");
  await page.locator("#hold button").click();
  await page.waitForFunction(() => /^Held, as hold \d+/.test(document.querySelector("#played").textContent));
  await page.locator("#copy-page").click();
  await page.waitForFunction(() => document.querySelector("#copy-page").textContent !== "Copy link");
  const link = await page.getAttribute("#played a", "href");
  expect(link.endsWith("#play") && link.includes(await page.inputValue("[name=from]")), `a link to this clip, and not ${link}`);
  const file = await page.evaluate(async () => { const answer = await fetch(document.querySelector("#download").href, { method: "HEAD" }); return [answer.status, answer.headers.get("Content-Type")]; });
  expect(file[0] === 200 && file[1] === "video/mp4", `the MP4: ${file}`);
}

// It stops at the exact out point, within a segment.
async function stops([, to]) {
  where = `${view} end`;
  await page.locator("#seek").focus();
  await page.keyboard.press("End");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Space");
  await page.waitForFunction(() => document.querySelector("#played").textContent === "The end of the range");
  await near(to, 0.15, "it stops at the out point");
  expect(await page.evaluate(() => document.querySelector("video").paused), "it stands still");
}

try {
  const query = new URL(url).searchParams;
  const range = [Date.parse(query.get("from")) / 1000, Date.parse(query.get("to")) / 1000];
  if (view === "no-hls") {
    await page.goto(url);
    await page.waitForFunction(() => document.querySelector("#played").textContent.includes("plays no HLS"));
    expect((await page.getAttribute("#download", "href")).includes("/mp4/news/"), "the MP4 is there");
  } else {
    await plays(range);
    if (view !== "demo") for (const part of [byKeys, byPointer, buttons, stops]) await part(range);
  }
} catch (error) {
  note(`${error.stack}\n${await said().catch(() => "")}`);
  await page.screenshot({ path: shot.replace(".png", "-failed.png") }).catch(() => {});
} finally {
  await browser.close();
}
complaints.forEach((what) => console.log(what));
process.exit(complaints.length ? 1 : 0);
