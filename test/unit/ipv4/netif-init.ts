/** The parts of the device layer that the IPv4 tests need, started as boot does. */
export function netifInitForTests(): void {
  // The stub device layer of this test needs nothing.
}
