/** `linnet/device` of a board that is a program on Linux. */
import config from "mc/config";
import { createLinuxDevice } from "linnet/hal/linux";

export default () => createLinuxDevice(config.linnet.tap);
