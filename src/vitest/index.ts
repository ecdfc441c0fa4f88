// netcell/vitest: fixtures, matchers and properties for tests of protocols with Vitest. Importing it gives expect()
// its matchers.

import { expect } from "vitest";
import { netcellMatchers } from "./matchers.ts";

expect.extend(netcellMatchers);

export { it, type NetcellFixtures, test } from "./fixtures.ts";
export {
  type Capture,
  type DatagramPattern,
  type IcmpPattern,
  netcellMatchers,
  type SegmentPattern,
} from "./matchers.ts";
export { checkProperty, type PropertyOptions } from "./property.ts";
