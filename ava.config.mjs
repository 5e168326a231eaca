/** Settings of every test run; tools/test.mjs adds the files of its stage and the stage's timeout. */
export default {
  files: ["test/{unit,sim,xs,interop}/**/*.test.ts"],
  extensions: { ts: "module" },
  nodeArguments: ["--import=tsx"],
  // Every change of a TCP state is checked, in every test.
  require: ["./test/lib/tcp-states.ts"],
  timeout: "2m",
  // One process per test file: every file boots its own kernel, and koffi and child processes want the main thread.
  workerThreads: false,
};
