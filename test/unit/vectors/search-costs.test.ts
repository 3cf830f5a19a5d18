import { expect, test } from "bun:test";
import { SearchCosts } from "../../../src/vectors/search-costs.ts";

test("costs follow what searches take", () => {
  const costs = new SearchCosts(384);
  for (let search = 0; search < 200; search++) {
    costs.scanTook(200_000, { lookUps: 0, rows: 1000 });
  }
  expect(costs.scan({ lookUps: 0, rows: 1000 }) / 200_000).toBeCloseTo(1, 1);
  expect(costs.scan({ lookUps: 800, rows: 0 })).toBeCloseTo(costs.scan({ lookUps: 0, rows: 100 }));
});

test("a pause is no cost, and a handful of rows says nothing", () => {
  const costs = new SearchCosts(384);
  const before = costs.graph(100);
  costs.graphTook(1e9, 100);
  expect(costs.graph(100)).toBeLessThan(before * 1.2);
  costs.graphTook(1e9, 10);
  expect(costs.graph(100)).toBeLessThan(before * 1.2);
});

test("a way that a bad spell made dear is tried again some time", () => {
  const costs = new SearchCosts(384);
  const before = costs.graph(100);
  for (let search = 0; search < 100; search++) costs.graphTook(1e9, 100);
  expect(costs.graph(100)).toBeGreaterThan(before * 10);
  for (let search = 0; search < 5000; search++) costs.scanTook(330_000, { lookUps: 0, rows: 1000 });
  expect(costs.graph(100) / before).toBeCloseTo(1, 0);
});

const choice = (costs: SearchCosts): number =>
  costs.graph(100) / costs.scan({ lookUps: 0, rows: 1000 });

test("a machine that is slow at both still chooses as a quick one would", () => {
  const [quick, slow] = [new SearchCosts(384), new SearchCosts(384)];
  for (let search = 0; search < 2000; search++) {
    quick.graphTook(700_000, 100);
    slow.graphTook(4 * 700_000, 100);
  }
  expect(choice(slow) / choice(quick)).toBeCloseTo(1, 1);
});
