// Opens the page in a headless Chromium, and prints what is on it, a JSON line whenever the leader
// of the first lease changes. Ends when its standard input does. With a REASON it pauses the first
// lease by the page's own buttons, and prints what the page says of that.
//
// usage: node page.js CHROMIUM URL [REASON]

const { chromium } = require("playwright-core");

const [, , program, url, reason] = process.argv;

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
    if (!request.url().startsWith(new URL("/", url).href)) say("elsewhere", { text: request.url() });
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
  if (reason !== undefined) {
    await page.getByRole("button", { name: /^Pause / }).first().click();
    await page.getByLabel("Why").fill(reason);
    await page.keyboard.press("Enter");
    await page.locator("#said:not([hidden])").waitFor();
    say("said", { text: await page.locator("#said").textContent(), address: page.url() });
    await page.getByRole("button", { name: /^Resume / }).first().waitFor();
  }
  process.stdin.resume();
  process.stdin.on("end", async () => {
    say("content", { title: await page.title(), bars: await page.locator("rect.bar").count(),
      gaps: await page.locator("rect.gap").count(), images: await page.locator("img").count() });
    await browser.close();
  });
}

main();
