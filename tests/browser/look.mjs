// What a person does with the pages, in chromium: node look.mjs VIEW URL URL_OF_AN_EMPTY_SITE FOLDER_OF_SCREENSHOTS
//
// Exits with 0 if all went well; else with 1, and says what did not. The browser's complaints count: an error in the console or
// on the page, a violation of the content security policy, a request that failed, a page that is wider than its window.
import { join } from "node:path";
import { browse } from "./chromium.mjs";

const [chosen, site, nothing, shots] = process.argv.slice(2);

const VIEWS = [
  { name: "desk-light", width: 1280, height: 900, colorScheme: "light" },
  { name: "desk-dark", width: 1280, height: 900, colorScheme: "dark" },
  { name: "phone-light", width: 390, height: 844, colorScheme: "light", hasTouch: true },
  { name: "phone-dark", width: 360, height: 780, colorScheme: "dark", hasTouch: true },
];

const { browser, complaints, complain: told } = await browse();
let where = "";
const complain = (what) => told(`${where}: ${what}`);
function expect(truth, what) {
  if (!truth) complain(what);
}

// What is archived here is in the books only: there are no pictures of it.
const isStaged = (url) => url?.includes("/frame/");

function listen(page) {
  page.on("console", (message) => {
    if (message.type() !== "error" && message.type() !== "warning") return;
    if (isStaged(message.location().url)) return;
    // A page that tells of an error has the status of that error: the browser says so.
    if (where.includes("refusal") && message.text().includes("404")) return;
    complain(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => complain(`error: ${error}`));
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText;
    // What the script itself gives up: another chunk is under the pointer by now.
    if (why !== "net::ERR_ABORTED") complain(`${request.url()}: ${why}`);
  });
  page.on("response", (answer) => {
    if (answer.status() >= 400 && !where.includes("refusal") && !isStaged(answer.url())) complain(`${answer.url()}: ${answer.status()}`);
  });
}

// What holds for every page: one heading, named controls, nothing wider than the window, no two things with one id.
async function inspect(page) {
  const found = await page.evaluate(() => {
    const faults = [];
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth > width) {
      const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + 1);
      faults.push(`wider than the window: ${wide.slice(0, 3).map((e) => e.outerHTML.slice(0, 90)).join(" | ")}`);
    }
    if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
    if (!document.documentElement.lang || !document.title) faults.push("no language or no title");
    for (const id of [...document.querySelectorAll("[id]")].map((e) => e.id)) {
      if (document.querySelectorAll(`#${CSS.escape(id)}`).length > 1) faults.push(`two #${id}`);
    }
    for (const field of document.querySelectorAll("input, select, textarea")) {
      if (!field.labels?.length && !field.ariaLabel) faults.push(`no label: ${field.outerHTML}`);
    }
    for (const control of document.querySelectorAll("a[href], button, summary")) {
      const name = control.ariaLabel || control.textContent.trim() || control.querySelector("[aria-label]")?.ariaLabel;
      if (!name && control.offsetParent) faults.push(`no name: ${control.outerHTML.slice(0, 120)}`);
    }
    for (const picture of document.querySelectorAll("svg, img")) {
      if (!picture.ariaLabel && picture.ariaHidden !== "true" && picture.getAttribute("alt") === null) {
        faults.push(`a picture without words: ${picture.outerHTML.slice(0, 90)}`);
      }
    }
    for (const cell of document.querySelectorAll("thead th:not([scope])")) faults.push(`no scope: ${cell.outerHTML}`);
    for (const part of document.querySelectorAll("[aria-labelledby]")) {
      if (!document.getElementById(part.getAttribute("aria-labelledby"))) faults.push(`labelled by nothing: ${part.className}`);
    }
    return faults;
  });
  found.forEach(complain);
}

async function open(page, view, name, url) {
  where = `${view.name} ${name}`;
  await page.goto(url);
  await page.waitForLoadState("networkidle");
  await inspect(page);
  await page.screenshot({ path: join(shots, `${view.name}-${name}.png`), fullPage: true });
}

const field = (page, name) => page.locator(`#selection [name=${name}]`).inputValue();

async function overview(page, view) {
  await open(page, view, "overview", `${site}/`);
  const names = await page.locator(".channels tbody th a").allTextContents();
  expect(names[0] === "radio", `what is about to be lost comes first, and not ${names[0]}`);
  expect(names.at(-1) === "retired", "what is disabled comes last");
  expect((await page.textContent("body")).includes("broken.toml"), "a file that cannot be used is named");
  expect(!(await page.content()).includes("hush-hush"), "a password");
  // The picture in the README: what is about the channels, and not about this machine.
  const end = await page.locator(".legend").boundingBox();
  const clip = { x: 0, y: 0, width: view.width, height: Math.ceil(end.y + end.height + 8) };
  await page.screenshot({ path: join(shots, `${view.name}-readme.png`), fullPage: true, clip });
  await page.locator(".channels tbody th a", { hasText: "football" }).click();
  await page.waitForURL("**/channel/football");
}

async function calendar(page, view) {
  await open(page, view, "channel-football", `${site}/channel/football`);
  await open(page, view, "channel-radio", `${site}/channel/radio`);
  await open(page, view, "channel-documentary", `${site}/channel/documentary`);
  await page.locator("details.settings summary").click();
  expect(!(await page.content()).includes("hush-hush"), "a password");
  await open(page, view, "channel-weather", `${site}/channel/weather`);
  await open(page, view, "channel-news", `${site}/channel/news`);
}

async function byMouse(page, view) {
  await open(page, view, "channel-film", `${site}/channel/film`);
  const line = page.locator("svg[data-start]").nth(3);
  const box = await line.boundingBox();
  const y = box.y + box.height / 2;
  if (view.hasTouch) {
    await page.touchscreen.tap(box.x + box.width * 0.25, y);
    await page.touchscreen.tap(box.x + box.width * 0.5, y);
  } else {
    await page.mouse.move(box.x + box.width * 0.25, y);
    await page.waitForFunction(() => document.querySelector("#tell").textContent.includes("archived"));
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.4, y, { steps: 5 });
    await page.mouse.move(box.x + box.width * 0.5, y, { steps: 5 });
    await page.mouse.up();
  }
  const [from, to] = [await field(page, "from"), await field(page, "to")];
  const hours = (Date.parse(to) - Date.parse(from)) / 3_600_000;
  expect(hours > 5.5 && hours < 6.6, `a quarter of a day was selected, and not ${from} to ${to}`);
  const hls = await page.locator("#links a").first().getAttribute("href");
  expect(hls === `${site}/hls/film/${from}--${to}/master.m3u8`, `the link of the range, and not ${hls}`);
  await page.screenshot({ path: join(shots, `${view.name}-selected.png`), fullPage: true });
  if (!view.hasTouch) {
    await page.locator("#links .copy").first().click();
    await page.waitForFunction(() => document.querySelector("#links .copy").textContent !== "Copy");
  }
  await page.locator("#selection form button").first().click();
  await page.waitForURL("**from=**");
  where += " zoomed";
  await inspect(page);
  await page.screenshot({ path: join(shots, `${view.name}-zoomed.png`), fullPage: true });
}

async function byKeys(page, view) {
  where = `${view.name} keys`;
  await page.goto(`${site}/channel/film`);
  await page.locator("#calendar").focus();
  for (const key of ["ArrowRight", "ArrowUp", "ArrowLeft", "ArrowLeft"]) await page.keyboard.press(key);
  for (let n = 0; n < 11; n += 1) await page.keyboard.press("Shift+ArrowLeft");
  const hour = Date.parse(await field(page, "to")) - Date.parse(await field(page, "from"));
  expect(hour === 3_600_000, `twelve chunks are an hour, and not ${hour / 1000} s`);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#cell section");
  expect((await page.textContent("#cell")).includes("SHA-256"), "Enter tells the chunk");
  await page.screenshot({ path: join(shots, `${view.name}-keys.png`), fullPage: true });
  await page.keyboard.press("Escape");
  expect((await field(page, "from")) === "", "Escape clears the selection");
}

// Down to one chunk by links alone.
async function zoom(page, view) {
  where = `${view.name} zoom`;
  await page.goto(`${site}/channel/news`);
  await page.locator("section[aria-labelledby=gaps] tr", { hasText: "audio_nld" }).locator("a").click();
  await page.waitForURL("**from=**");
  await inspect(page);
  expect((await page.locator(".tracks tr").count()) >= 3, "the tracks of a chunk");
  await page.screenshot({ path: join(shots, `${view.name}-chunk.png`), fullPage: true });
  await page.locator(".crumbs a").first().click();
  await page.waitForURL("**/channel/news");
}

async function jobs(page, view) {
  await open(page, view, "jobs", `${site}/job/`);
  await page.locator("select[name=outcome]").selectOption("failed");
  await page.waitForURL("**outcome=failed**");
  await page.waitForLoadState("networkidle");
  const outcomes = await page.locator("tr.job span.job").allTextContents();
  expect(outcomes.length >= 3 && outcomes.every((word) => word === "failed"), `only what failed, and not ${outcomes}`);
  const sports = page.locator("tbody[data-key]", { hasText: "sports" });
  await sports.locator("summary").click();
  await sports.locator("pre.log").waitFor();
  expect((await sports.locator("pre.log").textContent()).includes("503"), "the log says why");
  // It is asked for again every three seconds; what was opened stays open.
  await page.waitForResponse((answer) => answer.url().includes("outcome=failed"));
  expect(await sports.locator("pre.log").isVisible(), "the log stays open");
  await inspect(page);
  await page.screenshot({ path: join(shots, `${view.name}-failed.png`), fullPage: true });
  await sports.locator("th a").click();
  await page.waitForURL(/\/job\/\d+$/);
  where = `${view.name} job`;
  await inspect(page);
  expect((await page.textContent("#log")).includes("503"), "the page of the job has its log");
  await page.screenshot({ path: join(shots, `${view.name}-job.png`), fullPage: true });
}

async function documentation(page, view) {
  await open(page, view, "apidocs", `${site}/apidocs`);
  await page.locator("summary", { has: page.getByText("/api/v1/channels/{name}/chunks", { exact: true }) }).click();
  await page.locator("details[open] a", { hasText: "Page" }).first().click();
  await inspect(page);
  await page.screenshot({ path: join(shots, `${view.name}-operation.png`) });
}

async function others(page, view) {
  await open(page, view, "empty", `${nothing}/`);
  await open(page, view, "refusal", `${site}/channel/footbal`);
  expect((await page.textContent("main")).includes("football"), "the name that was meant");
}

// Without a script everything can be read, and a range be asked for.
async function unscripted(browser) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  listen(page);
  where = "without a script";
  await page.goto(`${site}/channel/film`);
  await page.locator(".line .day").nth(2).click();
  expect((await page.locator("#links a").first().getAttribute("href")).includes("/hls/film/2"), "the links of a day");
  await page.goto(`${site}/job/`);
  await page.locator("tr.job th a").first().click();
  expect(await page.locator("#log").isVisible(), "the log of a job");
  await context.close();
}

try {
  for (const view of VIEWS.filter(({ name }) => name === chosen)) {
    const context = await browser.newContext({
      viewport: { width: view.width, height: view.height }, colorScheme: view.colorScheme, hasTouch: view.hasTouch ?? false,
      permissions: ["clipboard-write"],
    });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    listen(page);
    for (const part of [overview, calendar, byMouse, byKeys, zoom, jobs, documentation, others]) await part(page, view);
    await context.close();
  }
  if (chosen === "unscripted") await unscripted(browser);
} catch (error) {
  complain(error.stack);
} finally {
  await browser.close();
}
complaints.forEach((what) => console.log(what));
process.exit(complaints.length ? 1 : 0);
