"""test.sleep: takes its time, and says so each second. Ends early, with what it has, when it is asked to."""
import signal
import sys
import time

import npy
import result

slept = 0.0


def stop(number, _frame):
    result.leave(slept)
    print(f"stopped after {slept:.0f} s", flush=True)
    sys.exit(128 + number)


signal.signal(signal.SIGTERM, stop)
((_, (seconds,)),) = list(npy.parameters().values())[:1]
while slept < seconds:
    step = min(1.0, seconds - slept)
    time.sleep(step)
    slept += step
    print(f"slept {slept:g} of {seconds:g} s", flush=True)
result.leave(slept)
