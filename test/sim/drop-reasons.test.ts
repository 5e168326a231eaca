/** Every packet that TCP and ICMP turn away is counted under its cause; settle() sees that none is without a reason. */
import test from "ava";
import {
  SKB_DROP_REASON_TCP_ABORT_ON_DATA, SKB_DROP_REASON_TCP_ACK_UNSENT_DATA, SKB_DROP_REASON_TCP_FLAGS,
  SKB_DROP_REASON_TCP_INVALID_ACK_SEQUENCE, SKB_DROP_REASON_TCP_LISTEN_OVERFLOW, SKB_DROP_REASON_TCP_OVERWINDOW,
  SKB_DROP_REASON_TCP_REQQFULL, SKB_DROP_REASON_TCP_RESET, SKB_DROP_REASON_TCP_RFC7323_TSECR,
} from "../../src/uapi/drop-reason.ts";
import { isTcp } from "../lib/check.ts";
import { ascii } from "../lib/frames.ts";
import { World } from "./world.ts";

test.serial("SYNs beyond the SYN queue and beyond the accept queue", (t) => {
  const world = new World({ peers: ["p"] });
  const { kernel } = world.board;
  kernel.setSyncookies(0);
  world.listen(world.board, 80, 1);
  const p = world.peer();
  p.sendTcp({ sport: 1, dport: 80, flags: "S" });
  const { tcp } = p.expect(isTcp({ flags: "SA" }));
  // Like the accept queue, the SYN queue holds one more than the backlog.
  p.sendTcp({ sport: 9, dport: 80, flags: "S" });
  p.expect(isTcp({ flags: "SA", dport: 9 }));
  p.sendTcp({ sport: 2, dport: 80, flags: "S" });
  world.runFor(1);
  t.is(kernel.drops(SKB_DROP_REASON_TCP_REQQFULL), 1);
  p.sendTcp({ sport: 1, dport: 80, seq: 1, ack: tcp!.seq + 1, flags: "A" });
  world.runFor(1);
  p.sendTcp({ sport: 2, dport: 80, flags: "S" });
  const second = p.expect(isTcp({ flags: "SA", dport: 2 }));
  p.sendTcp({ sport: 2, dport: 80, seq: 1, ack: second.tcp!.seq + 1, flags: "A" });
  world.runFor(1);
  p.sendTcp({ sport: 3, dport: 80, flags: "S" });
  p.expectNothing(1);
  t.is(kernel.drops(SKB_DROP_REASON_TCP_LISTEN_OVERFLOW), 1);
  world.settle(t);
});

test.serial("segments for a half-open connection", (t) => {
  const world = new World({ peers: ["p"] });
  const { kernel } = world.board;
  world.listen(world.board, 80, 4);
  const p = world.peer();
  p.sendTcp({ sport: 1, dport: 80, seq: 100, flags: "S" });
  const { tcp } = p.expect(isTcp({ flags: "SA" }));
  const ack = tcp!.seq + 1;
  const before = kernel.allDrops().reduce((sum, count) => sum + count);
  p.sendTcp({ sport: 1, dport: 80, seq: 100, flags: "S" });
  p.expect(isTcp({ flags: "SA" }));
  t.is(kernel.allDrops().reduce((sum, count) => sum + count), before, "the SYN again is answered, not dropped");
  p.sendTcp({ sport: 1, dport: 80, seq: 101, ack: ack + 5, flags: "A" });
  p.expect(isTcp({ flags: "R" }));
  t.is(kernel.drops(SKB_DROP_REASON_TCP_FLAGS), 1);
  p.sendTcp({ sport: 1, dport: 80, seq: 0x40000000, ack, flags: "A", payload: ascii("x") });
  p.expect(isTcp({ flags: "A" }));
  t.is(kernel.drops(SKB_DROP_REASON_TCP_OVERWINDOW), 1);
  p.sendTcp({ sport: 1, dport: 80, seq: 101, flags: "R" });
  world.runFor(1);
  t.is(kernel.drops(SKB_DROP_REASON_TCP_RESET), 1);
  world.settle(t);
});

test.serial("answers to our SYN that acknowledge what was never sent, or echo a time that never was", (t) => {
  const world = new World({ peers: ["p"] });
  const { kernel } = world.board;
  const p = world.peer();
  world.connect(world.board, 80, p.addr);
  const { tcp } = p.expect(isTcp({ flags: "S" }));
  const { seq, sport } = tcp!;
  p.sendTcp({ sport: 80, dport: sport, seq: 5, ack: seq + 7, flags: "SA" });
  p.expect(isTcp({ flags: "R" }));
  t.is(kernel.drops(SKB_DROP_REASON_TCP_INVALID_ACK_SEQUENCE), 1);
  p.sendTcp({ sport: 80, dport: sport, seq: 5, ack: seq + 1, flags: "SA", options: { ts: [1, 0x12345678] } });
  p.expect(isTcp({ flags: "R" }));
  t.is(kernel.drops(SKB_DROP_REASON_TCP_RFC7323_TSECR), 1);
  world.settle(t);
});

test.serial("data for a program that has closed, and an acknowledgment of data never sent", (t) => {
  const world = new World({ peers: ["p"] });
  const { kernel } = world.board;
  const listener = world.listen(world.board, 80);
  const p = world.peer();
  p.sendTcp({ sport: 1, dport: 80, seq: 100, flags: "S" });
  const ack = p.expect(isTcp({ flags: "SA" })).tcp!.seq + 1;
  p.sendTcp({ sport: 1, dport: 80, seq: 101, ack, flags: "A" });
  const { fd } = world.accept(listener);
  p.sendTcp({ sport: 1, dport: 80, seq: 101, ack: ack + 9, flags: "A" });
  world.runFor(1);
  t.is(kernel.drops(SKB_DROP_REASON_TCP_ACK_UNSENT_DATA), 1);
  kernel.close(fd);
  world.runFor(1);
  p.sendTcp({ sport: 1, dport: 80, seq: 101, ack, flags: "PA", payload: ascii("too late") });
  world.runFor(1);
  t.is(kernel.drops(SKB_DROP_REASON_TCP_ABORT_ON_DATA), 1);
  world.settle(t);
});
