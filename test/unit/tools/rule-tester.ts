/** ESLint's RuleTester inside ava: each case becomes one test, named by the rule and the case's code. */
import test from "ava";
import { RuleTester } from "eslint";
import tseslint from "typescript-eslint";

const titles = new Map<string, number>();

/** ava wants every title once; RuleTester names a case by its code. */
function uniqueTitle(title: string): string {
  const count = (titles.get(title) ?? 0) + 1;
  titles.set(title, count);
  return count === 1 ? title : `${title} (${count})`;
}

let group = "";
RuleTester.describe = (title, body) => {
  const outer = group;
  group = `${group} ${title}`.trim();
  body.call(undefined);
  group = outer;
};
RuleTester.it = (title, body) => {
  test(uniqueTitle(`${group}: ${title.replace(/\s+/g, " ")}`), (t) => {
    t.notThrows(() => body.call(undefined));
  });
};

export function ruleTester(): RuleTester {
  return new RuleTester({ languageOptions: { parser: tseslint.parser } });
}
