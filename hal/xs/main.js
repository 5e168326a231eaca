/** The program of a board that is made of a sketch alone: examples/manifest.json. It answers its run loop. */
import settings from "linnet/config";
import createDevice from "linnet/device";
import { start } from "linnet/start";
import * as sketch from "sketch/main";

export default () => start(sketch, settings(), createDevice);
