/**
 * What a DHCP client is made of: its states, what it tells the program, how it is asked for, and the one object that holds all it
 * knows. Read first: RFC 2131 figure 5. Owns that object; what moves it from state to state is dhcp.ts.
 */
import type { Net } from "../stack/core/net.ts";
import { SockaddrIn } from "../stack/core/sockaddr.ts";
import type { Acd } from "./acd.ts";
import { DhcpLease } from "./dhcp-lease.ts";
import { BOOTP_SERVER_PORT, createTextBytes } from "./dhcp-message.ts";
import { Interface } from "./interface.ts";
import type { LinkWatch } from "./link.ts";
import { Service, ServiceSocket } from "./service.ts";

/** States, by RFC 2131's figure 5. DHCP_CHECKING is where an address is probed for before it is used, DHCP_WAITING between attempts. */
export const DHCP_INIT = 0;
export const DHCP_SELECTING = 1;
export const DHCP_REQUESTING = 2;
export const DHCP_REBOOTING = 3;
export const DHCP_CHECKING = 4;
export const DHCP_BOUND = 5;
export const DHCP_RENEWING = 6;
export const DHCP_REBINDING = 7;
export const DHCP_WAITING = 8;
export const DHCP_RELEASING = 9;
export const DHCP_STOPPED = 10;

/** What onChange hears: there is an address; it may be kept longer. */
export const DHCP_EVENT_BOUND = 1;
export const DHCP_EVENT_RENEWED = 2;
/** There is none any more: its time is over; the server refuses it; another host has it; it was given back. */
export const DHCP_EVENT_EXPIRED = 3;
export const DHCP_EVENT_REFUSED = 4;
export const DHCP_EVENT_CONFLICT = 5;
export const DHCP_EVENT_RELEASED = 6;
/** No server has answered to three messages; the client goes on asking. A program may choose an address by itself now (autoip). */
export const DHCP_EVENT_SILENCE = 7;

const LONGEST_TEXT = 63;
const LONGEST_ID = 64;

export interface DhcpOptions {
  /** Told to the server (option 12), up to 63 letters. */
  readonly hostname?: string;
  /** Client identifier (option 61), 2 to 64 bytes; without it 1 and the link address. */
  readonly clientId?: Uint8Array;
  /** An address from an earlier life, as int32: asked for at first (INIT-REBOOT). */
  readonly request?: number;
  /** Lease time to ask for, in s. */
  readonly leaseSec?: number;
  /** Make sure that nobody has the address (RFC 5227); done unless false, where packet sockets are there. */
  readonly probe?: boolean;
  /** Hears of changes, when the device has been changed already. */
  readonly onChange?: (client: DhcpClient, event: number) => void;
}

export class DhcpClient extends Service {
  /** DHCP_INIT … DHCP_STOPPED */
  state = DHCP_INIT;
  xid = 0;
  /** Messages sent in this state. */
  tries = 0;
  /** On the service's clock: when there is something to do in this state; when acquisition began, the last request was sent. */
  dueMs = 0;
  begunMs = 0;
  requestedMs = 0;
  /** When the lease is to be renewed, rebound, and over; Infinity without end. */
  t1Ms = Infinity;
  t2Ms = Infinity;
  endMs = Infinity;
  /** The address asked for, and of whom; 0: of none. */
  wanted = 0;
  server = 0;
  refusals = 0;
  /** Is the address in the device? */
  applied = false;
  readonly lease: DhcpLease = new DhcpLease();
  readonly iface: Interface;
  readonly socket: ServiceSocket = new ServiceSocket(this);
  /** null where addresses are not probed for. */
  acd: Acd | null = null;
  /** null until the device is known. */
  link: LinkWatch | null = null;
  readonly to: SockaddrIn = new SockaddrIn(0, BOOTP_SERVER_PORT);
  readonly options: DhcpOptions;
  readonly clientId: Uint8Array;
  readonly hostname: Uint8Array | null;

  constructor(net: Net, name: string, options: DhcpOptions) {
    super(net);
    this.iface = new Interface(name);
    this.options = options;
    this.clientId = options.clientId ?? new Uint8Array(7);
    this.hostname = options.hostname === undefined ? null : createTextBytes(options.hostname);
  }
}

/** Checks them. @throws RangeError naming the option and its range */
export function dhcpCheckOptions({ hostname, clientId }: DhcpOptions): void {
  if (hostname !== undefined && !/^[!-~]{1,63}$/.test(hostname)) {
    throw new RangeError(`dhcp: option hostname is ${hostname}; it must be 1 to ${LONGEST_TEXT} visible letters`);
  }
  if (clientId !== undefined && (clientId.length < 2 || clientId.length > LONGEST_ID)) {
    throw new RangeError(`dhcp: option clientId has ${clientId.length} bytes; it must have 2 to ${LONGEST_ID}`);
  }
}
