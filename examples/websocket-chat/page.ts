/** The page of the chat: a line to type in, and what everybody says. */
export const PAGE = `<!doctype html>
<html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>linnet chat</title></head>
<body><h1>Chat on a board</h1><ul id="said"></ul><form id="say"><input id="text" autofocus maxlength="200"><button>Say</button></form>
<script>
const socket = new WebSocket("ws://" + location.host + "/chat");
const note = (text) => { const li = document.createElement("li"); li.textContent = text; said.append(li); };
socket.onmessage = (event) => note(event.data);
socket.onclose = () => note("The board is gone.");
say.onsubmit = (event) => { event.preventDefault(); socket.send(text.value); text.value = ""; };
</script></body></html>
`;
