"""What the households of home-router.test.ts run: a small FTP server, a client that fetches and stores in four ways, a server that tells who
asks it, and a question to a port where nobody listens.
"""
import ftplib
import socket
import sys
import threading

CONTENT = b"".join(b"line %d of what is fetched\r\n" % i for i in range(2000))


def serve_ftp(addr):
    """One client after the other; data both ways, active and passive."""
    listener = socket.create_server((addr, 21))
    print("ready", flush=True)
    while True:
        threading.Thread(target=ftp_session, args=(listener.accept()[0], addr), daemon=True).start()


def ftp_session(control, addr):
    lines = control.makefile("rb")
    say = lambda text: control.sendall(text.encode() + b"\r\n")
    say("220 here")
    passive = target = None
    stored = 0

    def data():
        return passive.accept()[0] if passive else socket.create_connection(target)

    for line in lines:
        word, _, rest = line.decode().strip().partition(" ")
        if word == "PORT":
            n = rest.split(",")
            passive, target = None, (".".join(n[:4]), int(n[4]) * 256 + int(n[5]))
            say("200 " + target[0])
        elif word == "EPRT":
            _, _, host, port, _ = rest.split("|")
            passive, target = None, (host, int(port))
            say("200 " + host)
        elif word in ("PASV", "EPSV"):
            passive = socket.create_server((addr, 0))
            port = passive.getsockname()[1]
            numbers = addr.replace(".", ",")
            say(f"227 Entering Passive Mode ({numbers},{port >> 8},{port & 255})." if word == "PASV" else f"229 Entering Extended Passive Mode (|||{port}|)")
        elif word == "RETR":
            say("150 here it comes")
            with data() as conn:
                conn.sendall(CONTENT)
            say("226 done")
        elif word == "STOR":
            say("150 give it to me")
            with data() as conn:
                while chunk := conn.recv(65536):
                    stored += len(chunk)
            say(f"226 {stored}")
        elif word == "QUIT":
            say("221 bye")
            break
        else:
            say("230 fine" if word in ("USER", "PASS") else "200 fine")
    control.close()


def ftp_client(server):
    """Prints for each way what came and what went."""
    for way in ("PASV", "EPSV", "PORT", "EPRT"):
        ftp = ftplib.FTP(timeout=20)
        ftp.connect(server, 21)
        ftp.login("user", "word")
        got, told = [], []
        if way in ("PASV", "EPSV"):
            ftp.set_pasv(True)
            ftp.trust_server_pasv_ipv4_address = True
            # EPSV is for the other family; it works for this one too.
            ftp.af = socket.AF_INET if way == "PASV" else socket.AF_INET6
            ftp.retrbinary("RETR x", got.append)
            told.append(ftp.storbinary("STOR x", __import__("io").BytesIO(CONTENT)))
        else:
            ftp.set_pasv(False)
            own = ftp.sock.getsockname()[0]
            for command in ("RETR x", "STOR x"):
                listener = socket.create_server((own, 0))
                listener.settimeout(20)
                port = listener.getsockname()[1]
                told.append(ftp.sendport(own, port) if way == "PORT" else ftp.voidcmd(f"EPRT |1|{own}|{port}|"))
                ftp.putcmd(command)
                ftp.getresp()
                conn, _ = listener.accept()
                if command == "RETR x":
                    while chunk := conn.recv(65536):
                        got.append(chunk)
                else:
                    conn.sendall(CONTENT)
                conn.close()
                listener.close()
                told.append(ftp.voidresp())
        ftp.voidcmd("NOOP")
        ftp.quit()
        print(way, b"".join(got) == CONTENT, told)


def tell(port):
    """A server of HTTP that tells who asks."""
    listener = socket.create_server(("0.0.0.0", port))
    print("ready", flush=True)
    while True:
        conn, peer = listener.accept()
        with conn:
            conn.recv(4096)
            body = peer[0].encode() + b"\n"
            conn.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def refused(addr):
    """The errno of a datagram to a port where nobody listens."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(5)
    sock.connect((addr, 9))
    sock.send(b"x")
    try:
        sock.recv(1)
    except OSError as error:
        print(error.errno)


{"ftpd": serve_ftp, "ftp": ftp_client, "tell": lambda port: tell(int(port)), "refused": refused}[sys.argv[1]](*sys.argv[2:])
