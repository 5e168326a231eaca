/** What the guest's HTTP service answers to any request. */
export const PAGE = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nlinnet on XS\n";
