"""A program of fork mode that does what it is sent, a line each, and prints the line when that is done.

READY=1|STATUS=fine   says this by sd_notify, in one datagram; `padded READY=1`: with much behind it
child READY=1         has a child of it say this
listen 8000           listens on this port of 127.0.0.1
answer 503            answers every request with this status, from the next one on (after `listen`)
exit 3                ends
"""

import os
import socket
import subprocess
import sys
import threading

answers = {"status": "200"}


def say(address: str, text: str) -> None:
    """Send a datagram with BARRIER=1; return when it has been dealt with, as systemd-notify does."""
    ours, theirs = os.pipe()
    name = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(name)
        socket.send_fds(sock, [text.replace("|", "\n").encode()], [theirs])
    os.close(theirs)
    os.read(ours, 1)
    os.close(ours)


def serve(port: int) -> None:
    """Answer every request on a port, each on a connection of its own."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                if connection.recv(65536):
                    head = f"HTTP/1.1 {answers['status']} x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine"
                    connection.sendall(head.encode())


def obey(line: str) -> None:
    """Do what a line says."""
    word, _, rest = line.partition(" ")
    if word == "exit":
        os._exit(int(rest))
    elif word == "listen":
        threading.Thread(target=serve, args=(int(rest),), daemon=True).start()
    elif word == "answer":
        answers["status"] = rest
    elif word == "child":
        subprocess.run([sys.executable, __file__, rest], check=True)
    elif word == "padded":
        say(os.environ["NOTIFY_SOCKET"], rest + "|" + 5000 * "x")
    else:
        say(os.environ["NOTIFY_SOCKET"], line)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        obey(sys.argv[1])
    else:
        print("begun", flush=True)
        for line in sys.stdin:
            obey(line.strip())
            print(line.strip(), flush=True)
