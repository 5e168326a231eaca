/** `linnet/device` of a board with an ENC28J60: on its default SPI port, with the pins of `config.linnet.enc28j60`. */
import settings from "linnet/config";
import { Enc28j60 } from "linnet/hal/enc28j60";

export default () => {
  const { select, hz = 20_000_000, interrupt, reset, ...more } = settings().enc28j60 ?? {};
  return new Enc28j60({
    ...more,
    spi: { ...device.SPI.default, select, hz },
    ...(interrupt === undefined ? {} : { interrupt: { pin: interrupt } }),
    ...(reset === undefined ? {} : { reset: { pin: reset } }),
  });
};
