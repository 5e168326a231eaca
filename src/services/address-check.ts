/**
 * Address conflict detection as a service that can do without finds it: acd.ts, where the part `packet` is there, and nothing otherwise.
 * So a program without that part has none of its code.
 */
import type { Acd } from "./acd.ts";
import type { Interface } from "./interface.ts";
import type { Service } from "./service.ts";

/** The functions of acd.ts. */
export interface AddressCheck {
  /** Gets ready for a device: null when there is no room for a socket. Makes an object. */
  create(service: Service, iface: Interface): Acd | null;
  close(acd: Acd): void;
  probe(acd: Acd, addr: number): void;
  idle(acd: Acd): void;
  next(acd: Acd): number;
  run(acd: Acd): number;
}

export let addressCheck: AddressCheck | null = null;

export function registerAddressCheck(check: AddressCheck): void {
  addressCheck = check;
}
