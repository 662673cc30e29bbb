// How long people wait: printed, and never asserted. The pages tell the times themselves, since asking them takes longer than some.
import { after, test } from "node:test";
import { closeBrowsers, Person } from "./browser.ts";

after(closeBrowsers);

const rounds = 10;

/** spread is the middle of the figures, with the least and the most of them. */
function spread(figures: readonly number[]): string {
  const sorted = figures.toSorted((a, b) => a - b);
  const [below, above] = [sorted[rounds / 2 - 1] as number, sorted[rounds / 2] as number];
  return `${((below + above) / 2).toFixed(0)} ms, median of ${rounds} (${sorted[0]?.toFixed(0)} to ${sorted.at(-1)?.toFixed(0)})`;
}

test("joining and hanging up, as the other sees it", async (t) => {
  const [alice, bob] = await Promise.all([Person.come(t, "alice"), Person.come(t, "bob")]);
  const call = await alice.calls("bob");
  await bob.opens(call);
  await alice.joins();
  await alice.watches("alice");
  const [joined, hungUp]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const [seen, clicked] = await Promise.all([bob.firstPicture("alice"), bob.clicks("Join")]);
    joined.push(seen - clicked);
    await alice.watches("bob"); // All of joining is over.
    const [shown, left] = await Promise.all([alice.showsLeft("bob"), bob.clicks("Leave")]);
    hungUp.push(shown - left);
  }
  t.diagnostic(`from clicking Join to the first picture of the other: ${spread(joined)}`);
  t.diagnostic(`from hanging up to the other's page showing it: ${spread(hungUp)}`);
});
