// What a lost network is like: for who lost it, and for who waits. The browser is taken off it by the kernel, signal, media and API alike.
import assert from "node:assert/strict";
import { after, test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { closeBrowsers, control, Person, sameAsLog } from "./browser.ts";

after(closeBrowsers);

const notCuttable = process.env["NOT_CUTTABLE"];
const skip = notCuttable === undefined || notCuttable === "" ? false : notCuttable;

/** inCall has Alice and Bob in a call, Bob with a browser that can be taken off the network. */
async function inCall(t: TestContext): Promise<{ alice: Person; bob: Person; call: string }> {
  t.after(async () => control("online").catch(() => undefined)); // Where it is not off it can't be put back.
  const [alice, bob] = await Promise.all([Person.come(t, "alice"), Person.come(t, "bob", undefined, "CUTTABLE_CHROMIUM")]);
  const call = await alice.calls("bob");
  await bob.opens(call);
  await Promise.all([alice.joins(), bob.joins()]);
  await Promise.all([alice.watches("bob"), bob.watches("alice")]);
  return { alice, bob, call };
}

/** healed waits until both see each other again, and both timelines are the log. */
async function healed(alice: Person, bob: Person, call: string): Promise<void> {
  await Promise.all([alice.watches("bob"), bob.watches("alice"), alice.sees("bob", "present"), bob.sees("bob", "present")]);
  await Promise.all([sameAsLog(alice, call), sameAsLog(bob, call)]);
}

for (const seconds of [5, 20]) {
  test(`who is offline for ${seconds} s is missed, and comes back`, { skip }, async (t) => {
    const { alice, bob, call } = await inCall(t);
    await control("offline");
    const back = delay(seconds * 1000);
    await alice.misses("bob");
    await back;
    await control("online");
    await healed(alice, bob, call);
  });
}

test("who is offline until LiveKit gives them up is waited for, and comes back as the same", { skip }, async (t) => {
  const { alice, bob, call } = await inCall(t);
  await bob.page.getByRole("button", { name: "Mute", exact: true }).click();
  await bob.page.getByRole("button", { name: "Unmute" }).waitFor();
  await control("offline");
  await alice.sees("bob", "reconnecting");
  await bob.reads("Your connection is lost. Trying to get back …");
  await alice.picture("reconnecting");
  await bob.picture("offline");
  await control("online");
  await healed(alice, bob, call);
  assert.equal(await alice.page.locator('figure[data-user="bob"]').count(), 1, "Bob is there once");
  assert.equal(await bob.page.getByRole("button", { name: "Unmute" }).count(), 1, "Bob is heard again, and did not want to be");
});
