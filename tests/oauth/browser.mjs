// A person at a real browser: goes where `url` says, logs in and consents where a
// page has a form, and looks at the page after the redirect. The variable PLAN
// has it as JSON: `browser` (the program), `url`, `user`, `password`, `denies`,
// `scripts` (whether pages may run any), `picture` (a file for a picture of the
// last page). Printed is what was there, as JSON.
import { chromium } from "playwright-core";

const plan = JSON.parse(process.env.PLAN);
const PAGES = 20;

const browser = await chromium.launch({
  executablePath: plan.browser,
  // Whoever tests may be root, and may have little shared memory.
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
});
const context = await browser.newContext({
  javaScriptEnabled: plan.scripts,
  viewport: { width: 900, height: 600 },
});
const page = await context.newPage();
const complaints = [];
const requests = [];
page.on("console", (message) =>
  complaints.push({ url: message.location().url, text: message.text() }),
);
page.on("pageerror", (error) => complaints.push({ url: page.url(), text: String(error) }));
page.on("request", (request) =>
  requests.push({ url: request.url(), referer: request.headers().referer }),
);
// Nothing but this machine is asked for anything.
await context.route(
  ({ hostname }) => !["127.0.0.1", "localhost"].includes(hostname),
  (route) => route.abort(),
);

let response = await page.goto(plan.url);
for (let pages = 0; (await page.locator("form").count()) > 0; pages += 1) {
  if (pages === PAGES) throw new Error(`more than ${PAGES} pages, the last at ${page.url()}`);
  const cancel = page.locator('a[href$="/abort"]');
  const navigated = page.waitForNavigation();
  if (plan.denies && (await cancel.count()) > 0) {
    await cancel.click();
  } else {
    if ((await page.locator("[name=login]").count()) > 0) {
      await page.fill("[name=login]", plan.user);
      await page.fill("[name=password]", plan.password);
    }
    await page.click("[type=submit]");
  }
  response = await navigated;
}
await page.screenshot({ path: plan.picture, fullPage: true });
console.log(
  JSON.stringify({
    url: page.url(),
    status: response.status(),
    headers: await response.allHeaders(),
    title: await page.title(),
    text: await page.locator("body").innerText(),
    complaints,
    requests,
  }),
);
await browser.close();
