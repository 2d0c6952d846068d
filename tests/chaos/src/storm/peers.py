"""The storms on process pools of Python: prints one line of JSON that says what became of the calls.

    python3 peers.py executor|pool|loky|pebble|billiard WORKERS CALLS MILLIS BYTES PAUSE SEED

Each call sleeps for MILLIS and returns BYTES; a random worker is killed every PAUSE milliseconds.
"""

import json
import os
import random
import signal
import sys
import threading
import time

# A pool in which nothing has happened for so many seconds is hurt no more, and given time to recover
# (billiard waits for 10 seconds before it gives a worker up); then it is taken for stuck.
SPARED_AFTER = 2
STUCK_AFTER = 22
# How long a pool may take to run one call, and to end.
PATIENCE = 10


def work(millis, size):
    time.sleep(millis / 1000)
    return b"x" * size


class Executor:
    """concurrent.futures, and loky, which has its interface."""

    def __init__(self, workers):
        from concurrent.futures import ProcessPoolExecutor

        self.pool = ProcessPoolExecutor(workers)

    def submit(self, *args):
        return self.pool.submit(work, *args)

    def is_done(self, future):
        return future.done()

    def result(self, future, timeout=None):
        return future.result(timeout)

    def pids(self):
        return list(self.pool._processes)

    def end(self):
        self.pool.shutdown()


class Loky(Executor):
    def __init__(self, workers):
        from loky import ProcessPoolExecutor

        self.pool = ProcessPoolExecutor(workers)


class Pool:
    """multiprocessing.Pool, and billiard, which has its interface."""

    def __init__(self, workers):
        from multiprocessing import Pool

        self.pool = Pool(workers)

    def submit(self, *args):
        return self.pool.apply_async(work, args)

    def is_done(self, result):
        return result.ready()

    def result(self, result, timeout=None):
        return result.get(timeout)

    def pids(self):
        return [process.pid for process in list(self.pool._pool)]

    def end(self):
        self.pool.close()
        self.pool.join()


class Billiard(Pool):
    def __init__(self, workers):
        from billiard import Pool

        self.pool = Pool(workers)


class Pebble(Executor):
    def __init__(self, workers):
        from pebble import ProcessPool

        self.pool = ProcessPool(workers)

    def submit(self, *args):
        return self.pool.schedule(work, args)

    def pids(self):
        return list(self.pool._pool_manager.worker_manager.workers)

    def end(self):
        self.pool.close()
        self.pool.join()


POOLS = {
    "executor": Executor,
    "pool": Pool,
    "loky": Loky,
    "pebble": Pebble,
    "billiard": Billiard,
}


class Killer(threading.Thread):
    """Kills a random worker after each pause, until it is told that there is no more to be done."""

    def __init__(self, pool, pause, seed):
        super().__init__(daemon=True)
        self.pool = pool
        self.pause = pause
        self.random = random.Random(seed)
        self.kills = 0
        self.moved = time.monotonic()
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(self.pause):
            if time.monotonic() - self.moved > SPARED_AFTER:
                continue
            try:
                pid = self.random.choice(self.pool.pids())
                pidfd = os.pidfd_open(pid)
            except (IndexError, AttributeError, RuntimeError, TypeError, OSError):
                # There is none at this moment, or no more at all.
                continue
            try:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                self.kills += 1
            except ProcessLookupError:
                pass
            finally:
                os.close(pidfd)


def await_all(pool, calls, killer):
    """Waits until all are done, or none has been for too long; gives those that are not."""
    pending = list(calls)
    while pending and time.monotonic() - killer.moved < STUCK_AFTER:
        left = [call for call in pending if not pool.is_done(call)]
        if len(left) < len(pending):
            killer.moved = time.monotonic()
        pending = left
        time.sleep(0.005)
    return pending


def name(error):
    # billiard wraps what it raises.
    return type(getattr(error, "exc", error)).__name__


def in_time(work):
    """Whether it is done in time, without an error."""
    done = threading.Event()

    def run():
        work()
        done.set()

    threading.Thread(target=run, daemon=True).start()
    return done.wait(PATIENCE)


def main(kind, workers, calls, millis, size, pause, seed):
    pool = POOLS[kind](workers)
    pool.result(pool.submit(0, 1), PATIENCE)
    begin = time.monotonic()
    killer = Killer(pool, pause / 1000, seed)
    killer.start()
    futures, failed = [], {}
    for _ in range(calls):
        try:
            futures.append(pool.submit(millis, size))
        except Exception as error:
            failed[name(error)] = failed.get(name(error), 0) + 1
    killer.moved = time.monotonic()
    pending = await_all(pool, futures, killer)
    killer.over.set()
    killer.join()
    completed = 0
    for future in futures:
        if not pool.is_done(future):
            continue
        try:
            result = pool.result(future, PATIENCE)
            assert len(result) == size
            completed += 1
        except BaseException as error:
            failed[name(error)] = failed.get(name(error), 0) + 1
    usable = in_time(lambda: pool.result(pool.submit(0, 1), PATIENCE))
    outcome = {
        "calls": calls,
        "completed": completed,
        "failed": failed,
        "never": len(pending),
        "kills": killer.kills,
        "usable": usable,
        "ended": in_time(pool.end),
        "seconds": killer.moved - begin,
    }
    print(json.dumps(outcome), flush=True)
    # Threads of a pool that is stuck would keep the process from ending.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], *(int(number) for number in sys.argv[2:]))
