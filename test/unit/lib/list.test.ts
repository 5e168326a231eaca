import test from "ava";
import fc from "fast-check";
import {
  hlistAddHead, hlistDel, HlistNode, hlistTableCreate, hlistUnhashed, listAdd, listAddTail, listDel, listEmpty,
  listFirst, ListHead, listInit, listMoveTail,
} from "../../../src/lib/list.ts";

function ids(head: ListHead<number>): number[] {
  const seen: number[] = [];
  for (let node = head.next; node !== head; node = node.next) {
    if (node.next.prev !== node || node.prev.next !== node) throw new Error("ring broken");
    seen.push(node.owner!);
  }
  return seen;
}

test("a ring behaves as an array", (t) => {
  const step = fc.tuple(fc.constantFrom("add", "tail", "del", "move"), fc.nat(5));
  fc.assert(fc.property(fc.array(step), (steps) => {
    const head = new ListHead<number>();
    const nodes = [0, 1, 2, 3, 4, 5].map((id) => new ListHead(id));
    let model: number[] = [];
    for (const [what, id] of steps) {
      const node = nodes[id]!;
      if (what === "move") listMoveTail(node, head);
      else listDel(node);
      model = model.filter((other) => other !== id);
      if (what === "add") listAdd(node, head);
      if (what === "tail") listAddTail(node, head);
      if (what === "add") model.unshift(id);
      else if (what !== "del") model.push(id);
      t.deepEqual(ids(head), model);
      t.is(listEmpty(head), model.length === 0);
      t.is(listFirst(head), model[0] ?? null);
      t.is(listEmpty(node), what === "del");
    }
    listInit(head);
    t.true(listEmpty(head));
  }));
});

test("hash chains behave as arrays", (t) => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.integer({ min: -1, max: 2 }), fc.nat(5))), (steps) => {
    const table = hlistTableCreate<number>(3);
    const nodes = [0, 1, 2, 3, 4, 5].map((id) => new HlistNode(id));
    const model: number[][] = [[], [], []];
    for (const [bucket, id] of steps) {
      const node = nodes[id]!;
      hlistDel(table, node);
      t.true(hlistUnhashed(node));
      model.forEach((chain, i) => (model[i] = chain.filter((other) => other !== id)));
      if (bucket >= 0) {
        hlistAddHead(table, bucket, node);
        t.false(hlistUnhashed(node));
        model[bucket]!.unshift(id);
      }
      const chains = table.map((first) => {
        const chain: number[] = [];
        for (let at = first; at !== null; at = at.next) {
          t.is(at.next?.prev ?? at, at);
          chain.push(at.owner);
        }
        return chain;
      });
      t.deepEqual(chains, model);
    }
  }));
});
