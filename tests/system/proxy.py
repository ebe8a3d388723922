"""A man in the middle who hands every request on and tampers with the answers."""

import socket
import time

from tests.lib.listener import Listener


class Proxy(Listener):
    """Stands between a candidate and a RedisServer. Requests pass at once. Answers take `delay_s`
    longer; while `swallow` is true they are lost, with all later ones of the same connection. While
    `refuse` is true new connections are closed at once; while `stall` is true nothing passes in
    either direction, and all of it later; while `hang_up` is true each is closed behind the first
    answer. `swallowed` counts lost answers."""

    def __init__(self, arena, server):
        super().__init__(arena.short_folder / "proxy.sock")
        self.delay_s = 0
        self.swallow = False
        self.refuse = False
        self.hang_up = False
        self.stall = False
        self.swallowed = 0
        self._server = server.socket
        self._open = []

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self.cut()

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

    def serve(self, near):
        if self.refuse:
            near.close()
            return
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(self._server)
        except OSError:
            near.close()
            far.close()
            return
        self._open += [near, far]
        self.start_thread(self._pump, near, far, False)
        self._pump(far, near, True)

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
