import test from "ava";
import fc from "fast-check";
import {
  NOTIFY_BAD, NOTIFY_DONE, NOTIFY_OK, NOTIFY_STOP, NotifierBlock, NotifierChain, notifierChainCall,
  notifierChainRegister,
  notifierChainUnregister, notifierFromErrno, notifierToErrno,
} from "../../../src/lib/notifier.ts";

test("listeners are called by priority, then in order of registration", (t) => {
  fc.assert(fc.property(fc.array(fc.integer({ min: -2, max: 2 }), { maxLength: 8 }), fc.nat(7), (priorities, out) => {
    const chain = new NotifierChain<string>();
    const seen: number[] = [];
    const blocks = priorities.map((priority, id) => new NotifierBlock<string>((event, subject) => {
      t.deepEqual([event, subject], [7, "eth0"]);
      seen.push(id);
      return NOTIFY_OK;
    }, priority));
    for (const block of blocks) t.true(notifierChainRegister(chain, block));
    for (const block of blocks) t.false(notifierChainRegister(chain, block));
    const order = priorities.map((priority, id) => ({ priority, id })).sort((a,
      b) => b.priority - a.priority || a.id - b.id)
      .map((entry) => entry.id);
    t.is(notifierChainCall(chain, 7, "eth0"), order.length > 0 ? NOTIFY_OK : NOTIFY_DONE);
    t.deepEqual(seen, order);
    const gone = blocks[out];
    if (gone === undefined) return;
    t.true(notifierChainUnregister(chain, gone));
    t.false(notifierChainUnregister(chain, gone));
    seen.length = 0;
    notifierChainCall(chain, 7, "eth0");
    t.deepEqual(seen, order.filter((id) => id !== out));
  }));
});

test("a veto stops the chain, and a listener may remove itself", (t) => {
  const chain = new NotifierChain<null>();
  const seen: string[] = [];
  const once = new NotifierBlock<null>(() => {
    seen.push("once");
    notifierChainUnregister(chain, once);
    return NOTIFY_DONE;
  }, 2);
  const veto = new NotifierBlock<null>((event) => {
    seen.push("veto");
    return event === 1 ? NOTIFY_BAD : NOTIFY_STOP;
  }, 1);
  const never = new NotifierBlock<null>(() => {
    seen.push("never");
    return NOTIFY_OK;
  });
  for (const block of [never, veto, once]) notifierChainRegister(chain, block);
  t.is(notifierChainCall(chain, 1, null), NOTIFY_BAD);
  t.is(notifierChainCall(chain, 2, null), NOTIFY_STOP);
  t.deepEqual(seen, ["once", "veto", "veto"]);
});

test("errors travel in answers", (t) => {
  t.is(notifierFromErrno(0), NOTIFY_OK);
  t.is(notifierToErrno(notifierFromErrno(-22)), -22);
  t.is(notifierFromErrno(-1), NOTIFY_BAD);
  t.is(notifierToErrno(NOTIFY_OK), 0);
  t.is(notifierToErrno(NOTIFY_DONE), 0);
  t.is(notifierToErrno(NOTIFY_STOP), 0);
});
