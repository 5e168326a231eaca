/** Our side of `bench host` does its work, on either cable. */
import test from "ava";
import { CASES } from "../bench/host/cases.ts";
import { Ours } from "../bench/host/ours.ts";

for (const [name] of CASES) {
  for (const cable of ["veth", "wire"] as const) {
    test.serial(`${name} over ${cable}`, (t) => {
      const ours = new Ours(name, cable);
      // Anything that goes wrong throws.
      t.notThrows(() => ours.run(name, 3));
    });
  }
}
