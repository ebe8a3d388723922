// Opens the page in a headless Chromium, and prints what is on it, a JSON line whenever the leader
// of the first lease changes. Ends when its standard input does.
//
// usage: node page.js CHROMIUM URL

const { chromium } = require("playwright-core");

const [, , program, url] = process.argv;

function say(event, more) {
  process.stdout.write(JSON.stringify({ event, ...more }) + "\n");
}

async function main() {
  const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
  const page = await browser.newPage();
  page.on("console", (message) => {
    if (message.type() === "error") say("error", { text: message.text() });
  });
  page.on("pageerror", (error) => say("error", { text: error.message }));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) say("elsewhere", { text: request.url() });
  });
  await page.exposeFunction("told", (leader) => say("leader", { leader }));
  await page.goto(url);
  await page.evaluate(() => {
    let last = null;
    const look = () => {
      const cell = document.querySelector("#leases tr td:nth-of-type(2)");
      const leader = cell === null ? null : cell.textContent;
      if (leader !== last) window.told((last = leader));
    };
    new MutationObserver(look).observe(document.getElementById("leases"), { childList: true });
    look();
  });
  process.stdin.resume();
  process.stdin.on("end", async () => {
    say("content", { title: await page.title(), bars: await page.locator("rect.bar").count(),
      gaps: await page.locator("rect.gap").count(), images: await page.locator("img").count() });
    await browser.close();
  });
}

main();
