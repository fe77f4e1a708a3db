"""A UDP port on which somebody listens while a scenario runs."""
import socket
import threading

HOST = "127.0.0.1"


class Listener:
    """Binds a port and gives each datagram to heard(data, source), in a thread of its own, until stop(). Who derives from
    it has everything that heard() needs before it calls __init__() of this."""

    def __init__(self, port):
        self.port, self.over = port, False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, port))
        self.socket.settimeout(0.2)
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self):
        while not self.over:
            try:
                data, source = self.socket.recvfrom(65535)
            except (socket.timeout, ConnectionError):
                continue
            except OSError:
                return
            self.heard(data, source)

    def stop(self):
        self.over = True
        self.thread.join(1)
        self.socket.close()
