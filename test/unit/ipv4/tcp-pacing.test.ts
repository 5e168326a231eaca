import test from "ava";
import { getsockopt, send, setsockopt } from "../../../src/stack/socket/index.ts";
import { SO_MAX_PACING_RATE, SOL_SOCKET } from "../../../src/uapi/socket.ts";
import { accepted, end, give } from "./tcp-peer.ts";
import { bootWire, finish, now, run, sent } from "./tcp-wire.ts";

const MSS = 1460;
const buffer = new Uint8Array(MSS);

for (const rate of [20_000, 1_000_000, 5_000_000]) {
  test.serial(`SO_MAX_PACING_RATE of ${rate} bytes a second is kept, to the millisecond, and used`, (t) => {
    bootWire();
    const conn = accepted({ rtt: 2 });
    setsockopt(conn.fd, SOL_SOCKET, SO_MAX_PACING_RATE, rate);
    let bytes = 0;
    let started = -1;
    let unpaced = 0;
    const total = 100 * MSS;
    for (let ms = 0; bytes < total && ms < 20_000; ms++) {
      while (send(conn.fd, buffer, 0, MSS, 0) > 0);
      for (const segment of sent()) {
        bytes += segment.payload.length;
        conn.snd = segment.seq + segment.payload.length;
      }
      give(conn);
      if (started < 0 && bytes >= 12 * MSS) {
        started = now();
        unpaced = bytes;
      }
      if (started >= 0) {
        const allowed = ((now() - started + 1) * rate) / 1000 + MSS;
        t.true(bytes - unpaced <= allowed, `${bytes - unpaced} bytes after ${now() - started} ms`);
      }
      run(1);
    }
    const took = now() - started;
    const least = ((total - unpaced) * 1000) / rate;
    t.true(took >= least - 2 && took <= least * 1.1 + 3, `${took} ms for what takes ${least}`);
    end(conn);
    finish(t);
  });
}

test.serial("SO_MAX_PACING_RATE: all ones are no limit, a rate beyond 2^31 is read as it was set", (t) => {
  bootWire();
  const conn = accepted();
  const out = new Int32Array(1);
  t.is(getsockopt(conn.fd, SOL_SOCKET, SO_MAX_PACING_RATE, out), 1);
  t.is(out[0], -1);
  t.is(setsockopt(conn.fd, SOL_SOCKET, SO_MAX_PACING_RATE, 3_000_000_000), 0);
  getsockopt(conn.fd, SOL_SOCKET, SO_MAX_PACING_RATE, out);
  t.is(out[0]! >>> 0, 3_000_000_000);
  t.is(setsockopt(conn.fd, SOL_SOCKET, SO_MAX_PACING_RATE, -1), 0);
  end(conn);
  finish(t);
});
