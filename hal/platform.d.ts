/**
 * What `#platform` is to src/: one of `hal/<runtime>/platform.ts`, chosen by package.json on Node and by the bundler
 * elsewhere. src/ is checked against this declaration, so that no runtime's own types reach it.
 */
import type { Hal } from "./hal.ts";

export declare const platform: Hal;
