/** The generator of the recorders in Python (iptables-verdicts.py): what they drew is drawn again from the same seed. */
export class Lcg {
  private state: number;

  constructor(seed: number) {
    this.state = seed & 0x7fffffff;
  }

  below(n: number): number {
    this.state = (Math.imul(this.state, 1103515245) + 12345) & 0x7fffffff;
    return (this.state >> 8) % n;
  }
}
