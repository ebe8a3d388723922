"""A Unix socket that tests listen on."""

import socket
import threading


class Listener:
    """Hands each connection to `serve`, in threads of their own; to be used in a `with`. `accepted`
    counts them, `url` is for leaderwrap."""

    def __init__(self, path):
        self.socket = str(path)
        self.url = "unix://" + self.socket
        self.accepted = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.socket)
        self._listener.listen(100)

    def __enter__(self):
        self.start_thread(self._accept)
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def start_thread(target, *arguments):
        threading.Thread(target=target, args=arguments, daemon=True).start()

    def serve(self, client):
        """What to do with a connection, and to close it: for the heirs."""
        raise NotImplementedError

    def _accept(self):
        with self._listener:
            while True:
                try:
                    client, _ = self._listener.accept()
                except OSError:
                    return
                self.accepted += 1
                self.start_thread(self.serve, client)
