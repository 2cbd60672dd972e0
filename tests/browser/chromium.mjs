// Debian's chromium, with a profile of its own that goes with it, and a list of what is to be complained of.
import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = createRequire(join(process.env.NPVR_BROWSER_TOOLS, "here.js"))("playwright-core");
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
];

export async function browse() {
  const profile = mkdtempSync(join(tmpdir(), "npvr-browser-"));
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS, env: { ...process.env, HOME: profile } });
  browser.on("disconnected", () => rmSync(profile, { recursive: true, force: true }));
  const complaints = [];
  return { browser, complaints, complain: (what) => complaints.push(what) };
}
