"""A man in the middle who hands every request on and tampers with the answers."""

import socket
import threading
import time


class Proxy:
    """Stands between a candidate and a RedisServer, on a Unix socket of its own; to be used in a
    `with`. Requests pass at once. Answers take `delay_s` longer; while `swallow` is true they are
    lost, with all later ones of the same connection. While `refuse` is true new connections are
    closed at once; while `stall` is true nothing passes in either direction, and all of it later;
    while `hang_up` is true each is closed behind the first answer. `accepted` counts
    connections, `swallowed` lost answers."""

    def __init__(self, arena, server):
        self.socket = str(arena.short_folder / "proxy.sock")
        self.url = "unix://" + self.socket
        self.delay_s = 0
        self.swallow = False
        self.refuse = False
        self.hang_up = False
        self.stall = False
        self.accepted = 0
        self.swallowed = 0
        self._server = server.socket
        self._open = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.socket)
        self._listener.listen(100)

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for each in [self._listener, *self._open]:
            self._shut(each)

    def cut(self):
        """Ends all connections that there are."""
        for each in self._open:
            self._shut(each)
        self._open.clear()

    @staticmethod
    def _shut(end):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _accept(self):
        with self._listener:
            while True:
                try:
                    near, _ = self._listener.accept()
                    self.accepted += 1
                    if self.refuse:
                        near.close()
                        continue
                    far = socket.socket(socket.AF_UNIX)
                    far.connect(self._server)
                except OSError:
                    return
                self._open += [near, far]
                for source, target, tamper in ((near, far, False), (far, near, True)):
                    arguments = (source, target, tamper)
                    threading.Thread(target=self._pump, args=arguments, daemon=True).start()

    def _pump(self, source, target, tamper):
        lost = False
        try:
            while data := source.recv(65536):
                while self.stall:
                    time.sleep(0.01)
                lost = lost or tamper and self.swallow
                if tamper and self.delay_s and not lost:
                    time.sleep(self.delay_s)
                self.swallowed += lost
                if not lost:
                    target.sendall(data)
                if tamper and self.hang_up:
                    break
        except OSError:
            pass
        self._shut(source)
        self._shut(target)
