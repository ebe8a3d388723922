"""What a service manager hears: the receiving end of NOTIFY_SOCKET (sd_notify(3))."""

import socket

from .waiting import PATIENCE_S


class Manager:
    def __init__(self, path):
        self.path = str(path)
        self.messages = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(PATIENCE_S)

    def hear(self, wanted):
        """Waits for a message that begins with `wanted`; returns what follows in its line."""
        while True:
            message = self._socket.recv(4096).decode()
            self.messages.append(message)
            if message.startswith(wanted):
                return message[len(wanted) :].rstrip("\n")

    def close(self):
        self._socket.close()
