/** `linnet/config` of a board that is a program: what a manifest's `config.linnet` has on a chip comes from the command line. */
import { argument } from "linnet/linux-host";

const USAGE = "usage: PROGRAM --tap NAME [--addr A/L [--gateway A]] [--preset P] [-- SKETCH ARGUMENTS]";

/** @throws Error that says how the program is called */
export default () => {
  const settings = { sizes: { preset: "small" }, arguments: [] };
  for (let at = 0, word; (word = argument(at)) !== undefined; at += 2) {
    if (word === "--") {
      for (at++; (word = argument(at)) !== undefined; at++) settings.arguments.push(word);
      break;
    }
    const value = argument(at + 1);
    if (value === undefined) throw new Error(USAGE);
    if (word === "--tap") settings.tap = value;
    else if (word === "--addr") settings.address = value;
    else if (word === "--gateway") settings.gateway = value;
    else if (word === "--preset") settings.sizes = { preset: value };
    else throw new Error(USAGE);
  }
  if (settings.tap === undefined) throw new Error(USAGE);
  return settings;
};
