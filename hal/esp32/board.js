/** `linnet/device` of an ESP32 with a PHY: its own EMAC, with the pins of `config.linnet.emac`. */
import config from "mc/config";
import EMAC from "emac";
import { Esp32Emac } from "linnet/hal/esp32";

export default () => new Esp32Emac({ emac: { ...config.linnet.emac, io: EMAC } });
