"""Whether the machine kept up while a scenario ran. Who plays and hears sound in real time is at the mercy of the
scheduler, and of other guests where the machine is one itself: what was heard then says nothing about the programs."""
import threading
import time

TICK = 0.01  # seconds between two looks at the clock
TOO_LATE = 0.04  # two packets of sound: what a phone that has just begun has in store


class Witness:
    """Sleeps and looks how late it is woken."""

    def __init__(self):
        self.worst = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        before = time.monotonic()
        while True:
            time.sleep(TICK)
            now = time.monotonic()
            self.worst = max(self.worst, now - before - TICK)
            before = now

    def late(self):
        return self.worst > TOO_LATE

    def words(self):
        return f"the machine was {1000 * self.worst:.0f} ms late"
