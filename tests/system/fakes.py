"""Servers that are of no use: each gives every connection the same words, whatever it is asked."""

from tests.lib.listener import Listener

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


class Fake(Listener):
    """`asked` counts the pieces in which requests came."""

    def __init__(self, arena, kind):
        super().__init__(arena.short_folder / (kind.replace(" ", "-") + ".sock"))
        self.asked = 0
        self._greeting, self._answer, self._hangs_up = KINDS[kind]

    def serve(self, client):
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
