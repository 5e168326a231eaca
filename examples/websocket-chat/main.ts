/**
 * A chat in the browser: the page comes from the board, and what one guest says over a WebSocket all of them hear. On the classes of
 * ECMA-419 (Listener, TCP), by the small server of examples/common.
 */
import type { Net } from "linnet";
import { asciiBytes } from "../common/ascii.ts";
import { HttpServer } from "../common/http-server.ts";
import { type WebSocket, WS_NORMAL } from "../common/websocket.ts";
import { PAGE } from "./page.ts";

const PORT = 80;
const MOST_GUESTS = 6;
const LONGEST_SAYING = 800;
/** A guest who takes nothing for so many bytes has left without a word. */
const MOST_WAITING = 8192;

export default function main(_net: Net): () => boolean {
  const guests = new Map<WebSocket, number>();
  let visits = 0;

  function say(who: string, words: Uint8Array): void {
    const head = asciiBytes(`${who}: `);
    const line = new Uint8Array(head.length + words.length);
    line.set(head);
    line.set(words, head.length);
    for (const guest of guests.keys()) {
      if (guest.waiting > MOST_WAITING) guest.close(WS_NORMAL);
      else guest.sendText(line);
    }
  }

  const server = new HttpServer({
    port: PORT,
    onRequest: ({ method, path }) => {
      if (method !== "GET" && method !== "HEAD") return { status: 405 };
      return path === "/" ? { type: "text/html", body: PAGE } : { status: 404, body: "There is only /.\n" };
    },
    onWebSocket: (path) => (path !== "/chat" || guests.size >= MOST_GUESTS ? null : (socket) => {
      const number = ++visits;
      guests.set(socket, number);
      say("board", asciiBytes(`guest ${number} is here, ${guests.size} in all`));
      return {
        onMessage: (words, isText) => {
          if (isText) say(`guest ${number}`, words.subarray(0, LONGEST_SAYING));
        },
        onClose: () => {
          guests.delete(socket);
          say("board", asciiBytes(`guest ${number} is gone`));
        },
      };
    }),
  });
  trace(`chat at port ${server.port}\n`);
  return () => false;
}
