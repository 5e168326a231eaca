/**
 * Fetches a page by the classes of ECMA-419: `http-fetch http://HOST[:PORT]/path [NAMESERVER]`. Resolver tells the host's address, TCP
 * brings the page, by the small client of examples/common.
 */
import type { Net } from "linnet";
import { Resolver } from "linnet/ecma419";
import { HttpClient } from "../common/http-client.ts";
import { Sha256 } from "../common/sha256.ts";

const NAME_SERVER = "10.0.0.1";

export default function main(_net: Net, url: string = "http://10.0.0.1/", nameServer: string = NAME_SERVER): () => boolean {
  const match = /^http:\/\/([a-z0-9.-]+)(?::(\d+))?(\/.*)?$/i.exec(url);
  if (match === null) throw new TypeError(`url is ${url}; it must be like http://example.com:8000/path`);
  const [, name = "", port = "80", path = "/"] = match;

  function fetch(address: string): void {
    const hash = new Sha256();
    const host = port === "80" ? name : `${name}:${port}`;
    const client = new HttpClient({ address, port: Number(port), host });
    client.request({
      path,
      headers: { "User-Agent": "linnet" },
      onHead: (status, headers) => trace(`${status} from ${address}, ${headers.get("content-type") ?? "of no type"}\n`),
      onBody: (bytes) => hash.update(bytes, 0, bytes.length),
      onDone: () => {
        client.close();
        trace(`received ${hash.length} bytes, sha256 ${hash.hex()}\n`);
      },
      onError: (reason) => {
        client.close();
        trace(`${url}: ${reason}\n`);
      },
    });
  }

  const resolver = new Resolver({ servers: [nameServer] });
  resolver.resolve({ host: name }, (error, address) => {
    resolver.close();
    if (error !== null || address === undefined) trace(`${name} is not known to ${nameServer}\n`);
    else fetch(address);
  });
  return () => false;
}
