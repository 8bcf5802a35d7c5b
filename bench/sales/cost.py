"""What a program has cost so far, its Java included, as one line of JSON."""

import json
import os
import resource
import time

STARTED = time.perf_counter()


def report(rows, quantity, revenue, java=None):
    own = resource.getrusage(resource.RUSAGE_SELF)
    cpu = own.ru_utime + own.ru_stime
    rss_kib = own.ru_maxrss
    if java:
        with open(f"/proc/{java}/stat") as stat:
            ticks = stat.read().rsplit(")", 1)[1].split()
        cpu += (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
        with open(f"/proc/{java}/status") as status:
            high = next(line for line in status if line.startswith("VmHWM"))
        rss_kib += int(high.split()[1])
    print(
        json.dumps(
            {
                "rows": rows,
                "quantity": quantity,
                "revenue": str(revenue),
                "wall": time.perf_counter() - STARTED,
                "cpu": cpu,
                "peak_rss_kib": rss_kib,
            }
        ),
        flush=True,
    )
