/** `mc/config` of a board that is a program: what a manifest's `config` has on a chip comes from the command line. */
import { argument } from "linnet/linux-host";

const USAGE = "usage: PROGRAM --tap NAME [--addr A/L [--gateway A]] [--preset P] [-- SKETCH ARGUMENTS]";
const linnet = { sizes: { preset: "small" }, arguments: [] };

for (let at = 0, word; (word = argument(at)) !== undefined; at += 2) {
  if (word === "--") {
    for (at++; (word = argument(at)) !== undefined; at++) linnet.arguments.push(word);
    break;
  }
  const value = argument(at + 1);
  if (value === undefined) throw new Error(USAGE);
  if (word === "--tap") linnet.tap = value;
  else if (word === "--addr") linnet.address = value;
  else if (word === "--gateway") linnet.gateway = value;
  else if (word === "--preset") linnet.sizes = { preset: value };
  else throw new Error(USAGE);
}
if (linnet.tap === undefined) throw new Error(USAGE);

export default { linnet };
