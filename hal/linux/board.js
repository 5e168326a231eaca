/** `linnet/device` of a board that is a program on Linux. */
import settings from "linnet/config";
import { createLinuxDevice } from "linnet/hal/linux";

export default () => createLinuxDevice(settings().tap);
