"""Servers that are of no use: each gives every connection the same words, whatever it is asked."""

import socket
import threading

# What they say first, what to each request, and whether they hang up then.
KINDS = {
    "hangs up": (b"", b"", True),
    "errors": (b"", b"-BUSY Redis is busy running a script.\r\n", False),
    "errors and hangs up": (b"", b"-LOADING Redis is loading the dataset in memory\r\n", True),
    "full": (b"-ERR max number of clients reached\r\n", b"", True),
    "replica": (b"", b"-READONLY You can't write against a read only replica.\r\n", False),
    "speaks HTTP": (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", True),
    "mute": (b"", b"", False),
}


class Fake:
    """Listens on a Unix socket of its own; to be used in a `with`. `accepted` counts connections,
    `asked` the pieces in which requests came."""

    def __init__(self, arena, kind):
        self.socket = str(arena.short_folder / (kind.replace(" ", "-") + ".sock"))
        self.url = "unix://" + self.socket
        self.accepted = 0
        self.asked = 0
        self._greeting, self._answer, self._hangs_up = KINDS[kind]
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.socket)
        self._listener.listen(100)

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with self._listener:
            while True:
                try:
                    client, _ = self._listener.accept()
                except OSError:
                    return
                self.accepted += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client:
            try:
                client.sendall(self._greeting)
                if self._greeting and self._hangs_up:
                    return
                while client.recv(65536):
                    self.asked += 1
                    client.sendall(self._answer)
                    if self._hangs_up:
                        return
            except OSError:
                pass
