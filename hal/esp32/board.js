/** `linnet/device` of an ESP32 with a PHY: its own EMAC, with the pins of `settings().emac`. */
import settings from "linnet/config";
import EMAC from "emac";
import { Esp32Emac } from "linnet/hal/esp32";

export default () => new Esp32Emac({ emac: { ...settings().emac, io: EMAC } });
