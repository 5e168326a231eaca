/** Settings of a stage whose files are bundled in groups (tools/build-tests.mjs, board-tests.mjs): as ava.config.mjs, without tsx. */
import config from "./ava.config.mjs";

export default {
  ...config,
  files: ["dist/test/**/*.test.js"],
  extensions: ["js"],
  nodeArguments: ["--enable-source-maps"],
  require: [],
};
