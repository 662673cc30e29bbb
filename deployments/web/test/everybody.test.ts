// That the page is there for everybody: by keyboard alone, for a screen reader, in light and in dark.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { closeBrowsers, Person } from "./browser.ts";

after(closeBrowsers);

/** barriers are what a page has that keeps somebody out, as far as axe finds it, a line each. */
async function barriers(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const found = await (globalThis as unknown as { axe: typeof axe }).axe.run(document);
    return found.violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 100)}`));
  });
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`the page keeps nobody out, ${colorScheme}`, async (t) => {
    const [alice, bob] = await Promise.all([Person.come(t, "alice"), Person.come(t, "bob")]);
    for (const { page } of [alice, bob]) await page.emulateMedia({ colorScheme });
    await bob.opens("00000000-0000-7000-8000-000000000000");
    await bob.reads("There is no such call, or you are not in it.");
    assert.deepEqual(await barriers(bob.page), [], "a call that is not there");
    await bob.page.getByRole("link", { name: "Back to your calls" }).click();
    const call = await alice.calls("bob");
    await bob.reads("alice calls");
    assert.deepEqual(await barriers(bob.page), [], "the list, with a call that rings");
    await bob.opens(call);
    await Promise.all([alice.joins(), bob.joins()]);
    await alice.watches("bob");
    assert.deepEqual(await barriers(alice.page), [], "the call");
    await alice.picture(`call-${colorScheme}`);
    await alice.page.getByRole("button", { name: "End for everybody" }).click();
    await alice.reads("The call is over");
    assert.deepEqual(await barriers(alice.page), [], "the call that is over");
    await alice.page.getByRole("button", { name: "Be somebody else" }).click();
    await alice.page.getByLabel("Your name").waitFor();
    assert.deepEqual(await barriers(alice.page), [], "the login");
  });
}

test("a call can be made, left and ended by keyboard alone", async (t) => {
  const { page, ...alice } = await Person.come(t, "alice");
  const presses = async (name: string): Promise<void> => {
    for (let steps = 0; steps < 40; steps++) {
      await page.keyboard.press("Tab");
      if ((await page.evaluate(() => document.activeElement?.textContent)) === name) return page.keyboard.press("Enter");
    }
    throw new Error(`${name} is not reached by the key Tab`);
  };
  await presses("Video call");
  await page.waitForURL(/#\/call\//);
  await page.getByRole("button", { name: "Join", exact: true }).waitFor();
  await presses("Join");
  await page.locator(`li[data-user="${alice.name}"][data-presence="present"]`).waitFor();
  await page.getByRole("button", { name: "Mute", exact: true }).waitFor();
  await presses("Mute");
  await page.getByRole("button", { name: "Unmute" }).waitFor();
  await presses("Leave");
  await page.getByRole("button", { name: "Join", exact: true }).waitFor();
  await presses("End for everybody");
  await page.getByText("The call is over").first().waitFor();
});
