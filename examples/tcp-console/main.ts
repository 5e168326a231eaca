/**
 * A console over TCP: what is typed at port 2323 is a command, and its text comes back. `nc 10.0.0.2 2323`, then `ip addr`, `route -n`,
 * `iptables -nvL`, `slabinfo`, `help`. One guest at a time, and whoever can reach the port may do everything: for a bench, not for a
 * network of others.
 */
import {
  accept4, AF_INET, bind, close, EAGAIN, formatSlabinfo, listen, MSG_NOSIGNAL, type Net, recv, send, SOCK_NONBLOCK, SOCK_STREAM,
  SockaddrIn, socket,
} from "linnet";
import { arp, bridge, type CommandResult, ifconfig, ip, iptables, route } from "linnet/commands";
import { iptables as ipTables } from "linnet/iptables";
import { netfilter } from "linnet/netfilter";
import { asciiBytes } from "../common/ascii.ts";

/** The parts that a board must list when it boots for this sketch. */
export const initcalls = [netfilter, ipTables];

const PORT = 2323;
const LONGEST_LINE = 256;
const PROMPT = "board# ";
const DELETE = 127;
const BACKSPACE = 8;

type Command = (net: Net, words: string) => CommandResult;
const COMMANDS: Readonly<Record<string, Command>> = Object.freeze({ ip, bridge, ifconfig, route, arp, iptables });

/** What a line answers; null ends the visit. */
function run(net: Net, line: string): string | null {
  const name = line.split(" ", 1)[0]!;
  if (name === "") return "";
  if (name === "exit" || name === "quit") return null;
  if (name === "help") return `${Object.keys(COMMANDS).join(", ")}, slabinfo, exit\n`;
  if (name === "slabinfo") return formatSlabinfo();
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) return `${name}: command not found\n`;
  const { text, error } = command(net, line.substring(name.length));
  return text + error;
}

export default function main(net: Net): () => boolean {
  const buffer = new Uint8Array(LONGEST_LINE);
  const listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const err = bind(listener, new SockaddrIn(0, PORT)) || listen(listener, 1);
  if (err < 0) throw new Error(`port ${PORT}: error ${err}`);
  let guest = -1;
  let line = "";
  let waiting = new Uint8Array(0);
  let leaving = false;

  function say(text: string): void {
    const more = asciiBytes(text.replaceAll("\n", "\r\n"));
    const both = new Uint8Array(waiting.length + more.length);
    both.set(waiting);
    both.set(more, waiting.length);
    waiting = both;
  }

  function end(): void {
    close(guest);
    guest = -1;
  }

  function typed(code: number): void {
    if (code === 10) {
      const answer = run(net, line.trim());
      line = "";
      if (answer === null) leaving = true;
      else say(answer + PROMPT);
    } else if (code === BACKSPACE || code === DELETE) {
      line = line.slice(0, -1);
    } else if (code >= 32 && code < DELETE && line.length < LONGEST_LINE) {
      line += String.fromCharCode(code);
    }
  }

  function visit(): boolean {
    if (waiting.length > 0) {
      const sent = send(guest, waiting, 0, waiting.length, MSG_NOSIGNAL);
      if (sent === -EAGAIN) return false;
      if (sent < 0) end();
      else waiting = waiting.slice(sent);
      return true;
    }
    if (leaving) {
      end();
      return true;
    }
    const count = recv(guest, buffer, 0, buffer.length, 0);
    if (count === -EAGAIN) return false;
    if (count <= 0) end();
    for (let i = 0; i < count && !leaving; i++) typed(buffer[i]!);
    return true;
  }

  return () => {
    if (guest >= 0) return visit();
    const fd = accept4(listener, null, SOCK_NONBLOCK);
    if (fd < 0) return false;
    guest = fd;
    line = "";
    waiting = new Uint8Array(0);
    leaving = false;
    say(PROMPT);
    return true;
  };
}
