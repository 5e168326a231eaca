/** Settings of a stage whose files tools/build-tests.mjs has bundled in groups: as ava.config.mjs, without tsx. */
import config from "./ava.config.mjs";

export default {
  ...config,
  files: ["dist/test/**/*.test.js"],
  extensions: ["js"],
  nodeArguments: ["--enable-source-maps"],
  require: ["./dist/test/lib/tcp-states.js"],
};
