// What the browser tests have in common: people with a browser of their own each, and what is seen on their pages.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";

/** setting is what whoever runs the tests has to say of the stack. */
export function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "") throw new Error(`set ${name}; deployments/systemtest/web does`);
  return value;
}

export const pageUrl = setting("PAGE_URL");
export const apiUrl = setting("API_URL");

const patience = 60_000; // milliseconds for what must come; nothing that goes right takes nearly as long
const flags = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
  "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required",
];

const started = new Map<string, Promise<Browser>>();

async function browser(executablePath: string): Promise<Browser> {
  const launched = started.get(executablePath) ?? chromium.launch({ executablePath, args: flags });
  started.set(executablePath, launched);
  return launched;
}

/** closeBrowsers ends the browsers, after all tests. */
export async function closeBrowsers(): Promise<void> {
  for (const launched of started.values()) await (await launched).close();
}

/** control asks whoever runs the tests for something that no page can do. */
export async function control(what: "restart" | "offline" | "online"): Promise<void> {
  const answer = await fetch(`${setting("CONTROL_URL")}/${what}`, { method: "POST" });
  if (answer.status !== 204) throw new Error(`${what}: ${answer.status} ${await answer.text()}`);
}

/** Person is somebody with tabs of one browser, who is signed in. */
export class Person {
  readonly name: string;
  readonly context: BrowserContext;
  page: Page;

  private constructor(name: string, context: BrowserContext, page: Page) {
    this.name = name;
    this.context = context;
    this.page = page;
  }

  /** come opens a browser for somebody. What a failed test leaves is a screenshot and a trace of it. */
  static async come(t: TestContext, name: string, viewport = { width: 1280, height: 800 }, executable = "CHROMIUM"): Promise<Person> {
    const context = await (await browser(setting(executable))).newContext({ viewport, permissions: ["camera", "microphone"] });
    context.setDefaultTimeout(patience);
    await context.addInitScript((user) => {
      if (location.protocol.startsWith("http")) sessionStorage.setItem("user", user); // not on the blank page before
    }, name);
    await context.tracing.start({ screenshots: true, snapshots: true });
    const person = new Person(name, context, await context.newPage());
    t.after(async () => {
      if (t.passed) {
        await context.tracing.stop();
      } else {
        const folder = setting("ARTIFACTS");
        mkdirSync(folder, { recursive: true });
        const file = join(folder, `${t.name}-${name}`.replaceAll(/[^A-Za-z0-9-]+/g, "-"));
        await context.tracing.stop({ path: `${file}.zip` });
        for (const [n, page] of context.pages().entries()) await page.screenshot({ path: `${file}-${n}.png`, fullPage: true });
      }
      await context.close();
    });
    await person.page.goto(pageUrl);
    return person;
  }

  /** calls makes a call with others, and returns its id. */
  async calls(...others: readonly string[]): Promise<string> {
    await this.page.getByLabel("Whom to call").fill(others.join(", "));
    await this.page.getByRole("button", { name: "Video call" }).click();
    await this.page.waitForURL(/#\/call\//);
    return this.page.url().split("/").at(-1) as string;
  }

  /** opens goes to a call by its link. */
  async opens(sessionId: string): Promise<void> {
    await this.page.goto(`${pageUrl}#/call/${sessionId}`);
  }

  async joins(): Promise<void> {
    await this.page.getByRole("button", { name: "Join", exact: true }).click();
    await this.sees(this.name, "present");
  }

  /** sees waits until the page shows somebody so. */
  async sees(user: string, presence: "present" | "reconnecting" | "left" | "away", timeout = patience): Promise<void> {
    await this.page.locator(`li[data-user="${user}"][data-presence="${presence}"]`).waitFor({ timeout });
  }

  /** firstPicture is when the page has drawn the first picture of somebody's video, which need not be there yet; in milliseconds. */
  async firstPicture(user: string): Promise<number> {
    return this.page.evaluate(async (name) => {
      const find = (): HTMLVideoElement | null => document.querySelector(`figure[data-user="${name}"] video`);
      while (find() === null) await new Promise(requestAnimationFrame);
      await new Promise((drawn) => find()?.requestVideoFrameCallback(drawn));
      return Date.now();
    }, user);
  }

  /** showsLeft is when the page has come to show that somebody left; in milliseconds. */
  async showsLeft(user: string): Promise<number> {
    return this.page.evaluate(async (name) => new Promise<number>((shown) => {
      const look = (): void => {
        if (document.querySelector(`li[data-user="${name}"][data-presence="left"]`) === null) return;
        watcher.disconnect();
        shown(Date.now());
      };
      const watcher = new MutationObserver(look);
      watcher.observe(document.body, { subtree: true, childList: true, attributes: true });
      look();
    }), user);
  }

  /** clicks presses a button; given back is when the page was told, in milliseconds. */
  async clicks(name: string): Promise<number> {
    const told = this.page.evaluate(async () => new Promise<number>((clicked) => {
      addEventListener("click", () => clicked(Date.now()), { capture: true, once: true });
    }));
    await this.page.getByRole("button", { name, exact: true }).click();
    return told;
  }

  /** misses waits until nothing comes through from somebody. */
  async misses(user: string): Promise<void> {
    await this.page.locator(`figure[data-user="${user}"][data-away="true"]`).waitFor();
  }

  /** leaves hangs up. */
  async leaves(): Promise<void> {
    await this.page.getByRole("button", { name: "Leave" }).click();
  }

  /** picture keeps what the page looks like, where somebody asks for that. */
  async picture(name: string): Promise<void> {
    const folder = process.env["PICTURES"];
    if (folder !== undefined) await this.page.screenshot({ path: join(folder, `${name}.png`) });
  }

  /** reads waits until the page has a text. */
  async reads(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).first().waitFor();
  }

  /** watches waits until somebody's video moves: three pictures of it differ, and none is dark. */
  async watches(user: string): Promise<void> {
    await until(`${this.name} sees ${user} move`, async () => this.page.evaluate(async (name) => {
      const video = document.querySelector<HTMLVideoElement>(`figure[data-user="${name}"] video`);
      if (video === null || video.videoWidth === 0 || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return false;
      const picture = (): string => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [64, 48];
        const drawing = canvas.getContext("2d") as CanvasRenderingContext2D;
        drawing.drawImage(video, 0, 0, 64, 48);
        const dark = drawing.getImageData(0, 0, 64, 48).data.every((value, n) => n % 4 === 3 || value < 16);
        return dark ? "" : canvas.toDataURL();
      };
      const pictures = new Set<string>();
      for (let n = 0; n < 3; n++) {
        pictures.add(picture());
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      return pictures.size === 3 && !pictures.has("");
    }, user));
  }

  /** timeline is what the page shows to have happened, the first event first. */
  async timeline(): Promise<string[]> {
    const ids = await this.page.locator("li[data-event]").evaluateAll((items) => items.map((item) => item.getAttribute("data-event") as string));
    return ids.reverse();
  }
}

/** asUser asks the service by its API. */
export async function asUser(user: string, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${apiUrl}/v1/call${path}`, { ...init, headers: { "X-User-Id": user, "Content-Type": "application/json", ...init.headers } });
}

/** logOf is a session's log: the ids of its events. */
export async function logOf(user: string, sessionId: string): Promise<string[]> {
  const answer = await asUser(user, `/sessions/${sessionId}/events?limit=200`);
  const { items } = (await answer.json()) as { items: { eventId: string }[] };
  return items.map(({ eventId }) => eventId);
}

/** sameAsLog waits until a page's timeline is the session's log: no hole and no double. */
export async function sameAsLog(person: Person, sessionId: string): Promise<void> {
  await until(`the timeline of ${person.name} is the log`, async () => {
    const [shown, log] = [await person.timeline(), await logOf(person.name, sessionId)];
    return shown.length > 0 && shown.join() === log.join();
  });
}

/** until waits until a condition holds. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + patience;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${patience / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
