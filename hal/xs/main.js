/** The program of a board that is made of a sketch alone: examples/manifest.json. */
import createDevice from "linnet/device";
import { start } from "linnet/start";
import config from "mc/config";
import * as sketch from "sketch/main";

export default () => {
  start(sketch, config.linnet ?? {}, createDevice);
};
