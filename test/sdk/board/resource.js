/**
 * "Resource" of the SDK, where its TLS looks for the certificates of authorities: `ca.ski` lists the identifiers of their keys,
 * `ca0.der` is the first one's certificate. Here there is one, which the command line has brought (main.js).
 */
export default class Resource extends ArrayBuffer {
  constructor(path) {
    const bytes = $RESOURCES[path];
    if (bytes === undefined) throw new Error(`there is no resource ${path}`);
    super(bytes.length);
    new Uint8Array(this).set(bytes);
  }

  static get [Symbol.species]() {
    return ArrayBuffer;
  }
}
