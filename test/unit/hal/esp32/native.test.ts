/** The C of hal/esp32, compiled for this machine with sanitizers: the ring and the driver under two and more threads. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";

const root = new URL("../../../../", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "linnet-native-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const FLAGS = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-Ihal/esp32", "-Itest/native/idf"];
const FRAMES = 30_000;
const SANITIZERS = ["address,undefined", "thread"];

/** Compiles sources with a sanitizer; null (and a line in the log) where this machine has no compiler with it. */
function compile(t: ExecutionContext, sanitizer: string, name: string, sources: readonly string[]): string | null {
  const probe = spawnSync("cc", [`-fsanitize=${sanitizer}`, "-x", "c", "-", "-o", join(folder, `probe-${sanitizer}`)], {
    input: "int main(void) { return 0; }", encoding: "utf8",
  });
  if (probe.status !== 0) {
    t.log(`not run: no C compiler with -fsanitize=${sanitizer}`);
    t.pass();
    return null;
  }
  const program = join(folder, `${name}-${sanitizer}`);
  execFileSync("cc", [...FLAGS, `-fsanitize=${sanitizer}`, "-o", program, ...sources], { cwd: root, stdio: "pipe" });
  return program;
}

function run(program: string, args: readonly string[]): Record<string, number> {
  return JSON.parse(execFileSync(program, args, { encoding: "utf8", timeout: 100_000 })) as Record<string, number>;
}

for (const sanitizer of SANITIZERS) {
  test.serial(`ring: a thread fills it while another empties it, -fsanitize=${sanitizer}`, (t) => {
    const program = compile(t, sanitizer, "ring", ["test/native/emac-ring.c", "hal/esp32/emac-ring.c"]);
    if (program === null) return;
    const { received = 0, refused = 0, wakeups = 0 } = run(program, [String(FRAMES), "16", "24576"]);
    t.is(received + refused, FRAMES);
    t.true(wakeups <= received + 2, `${wakeups} messages for ${received} frames`);
  });

  test.serial(`driver: open, traffic, close, and each failure on the way, -fsanitize=${sanitizer}`, (t) => {
    const sources = ["test/native/emac-driver.c", "hal/esp32/emac-driver.c", "hal/esp32/emac-ring.c"];
    const program = compile(t, sanitizer, "driver", sources);
    if (program === null) return;
    const { failedSteps = 0, messages = 0, received = 0 } = run(program, ["3"]);
    t.true(received > 0 && messages > 0);
    // MAC, PHY, install, address read and set, event loop and handler, input path, start.
    t.is(failedSteps, 9);
  });
}
