/** "mc/config": mcconfig makes none for programs on Linux; the SDK's TLS asks it which ciphers to offer (modules/crypt/tls_common.json). */
export default Object.freeze({ tls: Object.freeze({ DHE_RSA: true, ECDHE_RSA: true }) });
