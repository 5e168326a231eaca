import { createHash } from "node:crypto";
import test from "ava";
import fc from "fast-check";
import { poolsReset } from "../../../src/lib/pool.ts";
import { md5Digest, md5Final, md5Init, md5Setup, md5Update, md5Word } from "../../../src/lib/md5.ts";

test.before(() => {
  poolsReset();
  md5Setup();
});

function digest(): string {
  const out = Buffer.alloc(16);
  for (let i = 0; i < 4; i++) out.writeInt32LE(md5Digest(i), i * 4);
  return out.toString("hex");
}

test.serial("the test suite of RFC 1321", (t) => {
  const vectors: [string, string][] = [
    ["", "d41d8cd98f00b204e9800998ecf8427e"],
    ["a", "0cc175b9c0f1b6a831c399e269772661"],
    ["abc", "900150983cd24fb0d6963f7d28e17f72"],
    ["message digest", "f96b697d7cb7938d525a2f31aaf161d0"],
    ["abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"],
  ];
  for (const [text, expected] of vectors) {
    md5Init();
    md5Update(Buffer.from(text), 0, text.length);
    md5Final();
    t.is(digest(), expected);
  }
});

test.serial("any bytes, in any pieces, as Node's own", (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), fc.integer(), (bytes, cut, word) => {
    const at = Math.min(cut, bytes.length);
    md5Init();
    md5Update(bytes, 0, at);
    md5Word(word);
    md5Update(bytes, at, bytes.length - at);
    md5Final();
    const network = Buffer.alloc(4);
    network.writeInt32BE(word);
    const hash = createHash("md5").update(bytes.subarray(0, at)).update(network).update(bytes.subarray(at));
    t.is(digest(), hash.digest("hex"));
  }));
});
