#!/usr/bin/env python3
"""Run one command and append one line of JSON about it: wall, user and system seconds, peak memory, exit code.

  measure.py --out FILE [--meta k=v]... [--timeout S] [--evict DIR]... [--touch MIB] [--log FILE] -- COMMAND...

Seconds are the kernel's accounting of the command and of every child that it waited for; peak memory is that of the
largest process among them. --evict first drops DIR's files from the page cache (posix_fadvise; no root needed).
--touch first writes to so much memory and frees it: in a virtual machine the first use of a page that the host does not
back yet costs up to ten times as much system time as the next, and only who comes first would pay for it.
Needs Python alone.
"""
import argparse
import json
import mmap
import os
import signal
import subprocess
import sys
import time


def evict(folder):
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                fd = os.open(os.path.join(base, name), os.O_RDONLY | os.O_NOFOLLOW)
            except OSError:
                continue
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def touch(mib):
    available = next(int(line.split()[1]) >> 10 for line in open("/proc/meminfo") if line.startswith("MemAvailable"))
    # In a process of its own: what this one held at its peak would be counted as the command's.
    if (toucher := os.fork()) == 0:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
        mmap.mmap(-1, max(min(mib, available // 2), 1) << 20, flags=flags)
        os._exit(0)
    os.waitpid(toucher, 0)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", required=True)
    ap.add_argument("--meta", action="append", default=[])
    ap.add_argument("--evict", action="append", default=[])
    ap.add_argument("--touch", type=int, default=0)
    ap.add_argument("--timeout", type=float, default=900)
    ap.add_argument("--log", default=os.devnull)
    ap.add_argument("command", nargs=argparse.REMAINDER)
    a = ap.parse_args()
    command = a.command[1:] if a.command[:1] == ["--"] else a.command
    for folder in a.evict:
        evict(folder)
    if a.touch:
        touch(a.touch)
    log = open(a.log, "ab")
    load, start = os.getloadavg()[0], time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    late = []

    def over(*_):
        late.append(1)
        os.killpg(child.pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, a.timeout)
    _, status, used = os.wait4(child.pid, 0)
    wall = time.monotonic() - start
    signal.setitimer(signal.ITIMER_REAL, 0)
    row = dict(kv.split("=", 1) for kv in a.meta)
    row.update(wall=round(wall, 4), user=round(used.ru_utime, 3), sys=round(used.ru_stime, 3),
               rss_mib=round(used.ru_maxrss / 1024, 1), load=round(load, 2),
               rc="timeout" if late else os.waitstatus_to_exitcode(status))
    with open(a.out, "a") as f:
        f.write(json.dumps(row) + "\n")
    print("   " + " ".join(f"{k}={row[k]}" for k in ("op", "wall", "user", "sys", "rss_mib", "rc") if k in row), file=sys.stderr)
    return 0 if row["rc"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
