import test from "ava";
import { initNet } from "../../../src/boot.ts";
import { TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_SYN_SENT, TCP_TIME_WAIT } from "../../../src/uapi/tcp.ts";
import { sockPut } from "../../../src/stack/core/sock.ts";
import { tcpProt } from "../../../src/stack/ipv4/tcp-ipv4.ts";
import type { TcpSk } from "../../../src/stack/ipv4/tcp-sock.ts";
import { tcpSetState, tcpStateSeen } from "../../../src/stack/ipv4/tcp.ts";
import { TCP_TRANSITIONS } from "../../lib/tcp-states.ts";
import { bootWire, finish } from "./tcp-wire.ts";

test.serial("a change of state that RFC 9293 does not have is caught in any test", (t) => {
  bootWire();
  const sk = tcpProt.alloc(initNet) as TcpSk;
  tcpProt.init(sk);
  tcpSetState(sk, TCP_SYN_SENT);
  t.throws(() => tcpSetState(sk, TCP_CLOSE_WAIT), { message: /TCP state 2 cannot become 8/ });
  t.throws(() => tcpStateSeen(TCP_ESTABLISHED, TCP_TIME_WAIT), { message: /TCP state 1 cannot become 6/ });
  sockPut(sk);
  finish(t);
});

test("the table has every state, and from each a way to the end", (t) => {
  t.is(TCP_TRANSITIONS.size, 11);
  for (const [from, next] of TCP_TRANSITIONS) t.true(next.includes(7) || from === TCP_TIME_WAIT, String(from));
});
