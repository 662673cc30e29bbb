import assert from "node:assert/strict";
import { after, test } from "node:test";
import { apiUrl, asUser, closeBrowsers, control, pageUrl, Person, sameAsLog, setting, until } from "./browser.ts";

after(closeBrowsers);

test("two people see each other's moving video, hang up, and both see how it ended", async (t) => {
  const [alice, bob] = await Promise.all([Person.come(t, "alice"), Person.come(t, "bob")]);
  const call = await alice.calls("bob");
  await bob.reads("alice calls");
  await bob.page.getByRole("button", { name: "Answer" }).click();
  await alice.joins();
  await bob.joins();
  await Promise.all([alice.watches("bob"), bob.watches("alice")]);
  await alice.picture("call");
  await bob.leaves();
  await alice.sees("bob", "left");
  await alice.page.getByRole("button", { name: "End for everybody" }).click();
  await Promise.all([alice.reads("The call is over"), bob.reads("The call is over")]);
  await sameAsLog(alice, call);
  await sameAsLog(bob, call);
  await alice.picture("ended");
});

test("who closes the tab is gone, who reloads it is the same", async (t) => {
  const [alice, bob] = await Promise.all([Person.come(t, "alice"), Person.come(t, "bob")]);
  const call = await alice.calls("bob");
  await bob.opens(call);
  await Promise.all([alice.joins(), bob.joins()]);
  await bob.page.reload();
  await bob.joins();
  await Promise.all([alice.watches("bob"), bob.watches("alice")]);
  const { participants } = (await (await asUser("alice", `/sessions/${call}`)).json()) as { participants: { userId: string }[] };
  assert.equal(participants.filter(({ userId }) => userId === "bob").length, 1, "the same identity");
  await sameAsLog(bob, call);
  await bob.page.close({ runBeforeUnload: true });
  await until("bob is gone", async () => (await alice.page.locator('li[data-user="bob"]').getAttribute("data-presence")) !== "present");
});

test("both services and the broker are restarted in a call, and the timeline has no hole and no double", async (t) => {
  const [alice, bob] = await Promise.all([Person.come(t, "alice"), Person.come(t, "bob")]);
  const call = await alice.calls("bob");
  await bob.opens(call);
  await alice.joins();
  await control("restart");
  await bob.joins();
  await Promise.all([alice.sees("bob", "present"), bob.watches("alice")]);
  await alice.page.getByRole("button", { name: "End for everybody" }).click();
  await Promise.all([alice.reads("The call is over"), bob.reads("The call is over")]);
  await sameAsLog(alice, call);
  await sameAsLog(bob, call);
});

test("a stranger with the link is refused, and a removed member's page ends", async (t) => {
  const [alice, bob, mallory] = await Promise.all([Person.come(t, "alice"), Person.come(t, "bob"), Person.come(t, "mallory")]);
  const call = await alice.calls("bob");
  await mallory.opens(call);
  await mallory.reads("There is no such call, or you are not in it.");
  await bob.opens(call);
  await Promise.all([alice.joins(), bob.joins()]);
  assert.equal((await asUser("alice", `/sessions/${call}/members/bob`, { method: "DELETE" })).status, 204);
  await bob.reads("You were taken out of this call.");
  await until("bob has no room any more", async () => (await bob.page.locator("figure").count()) === 0);
});

test("a call that is made between the list and the stream rings", async (t) => {
  const alice = await Person.come(t, "alice");
  const carol = await Person.come(t, "carol");
  // Its list is answered late, and has not what is made meanwhile.
  let listed = false;
  await carol.page.route(/\/v1\/call\/sessions\?status=/, async (route) => {
    const answer = await route.fetch();
    if (!listed) await alice.calls("carol");
    listed = true;
    await route.fulfill({ response: answer });
  });
  await carol.page.reload();
  await carol.reads("alice calls");
  assert.ok(listed);
});

test("eight tabs of one person work at once", async (t) => {
  const alice = await Person.come(t, "alice");
  const bob = await Person.come(t, "bob");
  const tabs = [bob.page, ...(await Promise.all(Array.from({ length: 7 }, async () => bob.context.newPage())))];
  await Promise.all(tabs.map(async (tab) => tab.goto(pageUrl)));
  const call = await alice.calls("bob");
  for (const tab of tabs) await tab.getByText("alice calls").first().waitFor();
  await tabs[0]?.close();
  bob.page = tabs[3] as typeof bob.page;
  await bob.opens(call);
  await alice.joins();
  await bob.sees("alice", "present");
  await sameAsLog(bob, call);
});

test("another origin is refused by the browser, the page's own is not", async (t) => {
  const alice = await Person.come(t, "alice");
  const asks = async (url: string): Promise<string> => {
    await alice.page.goto(url);
    return alice.page.evaluate(
      async (api) => fetch(`${api}/v1/call/sessions`, { headers: { "X-User-Id": "alice" } }).then((answer) => String(answer.status), (error: Error) => error.name),
      apiUrl,
    );
  };
  assert.equal(await asks(pageUrl), "200");
  assert.equal(await asks(setting("OTHER_ORIGIN_URL")), "TypeError");
});

test("on a phone nothing is wider than the screen", async (t) => {
  const alice = await Person.come(t, "alice", { width: 360, height: 740 });
  await alice.calls("a-person-with-a-rather-long-name-that-has-no-place-to-be-broken-at");
  await alice.joins();
  await alice.watches("alice");
  await alice.picture("phone");
  const width = await alice.page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 360, `the page is ${width} pixels wide`);
});
