"""CPython's process pools, doing jobs that arrive as lines of JSON, answered by lines of JSON.

    python3 peers.py executor|pool WORKERS

`executor` is concurrent.futures.ProcessPoolExecutor, `pool` is multiprocessing.Pool. Workers are
forked, which is the fastest way that Python has.
"""

import json
import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

FORK = multiprocessing.get_context("fork")
CHUNKS = [10, 100, 1000, 5000, 20000]


def double(x):
    return 2 * x


def burn(steps):
    state = 1
    for step in range(steps):
        state = (state * 25214903917 + step) & 0xFFFFFFFF
    return state


def burn_all(lengths):
    for steps in lengths:
        burn(steps)


def echo(value):
    return value


class Executor:
    def __init__(self, workers):
        self.workers = workers
        self.pool = ProcessPoolExecutor(workers, mp_context=FORK)

    def call(self, function, *args):
        return self.pool.submit(function, *args).result()

    def submit(self, function, *args):
        return self.pool.submit(function, *args).result

    def map(self, function, inputs, chunksize=1):
        return self.pool.map(function, inputs, chunksize=chunksize)

    def processes(self):
        return list(self.pool._processes.values())

    def exit(self):
        try:
            self.call(os._exit, 1)
        except BrokenProcessPool:
            pass

    def recover(self):
        self.end()
        self.pool = ProcessPoolExecutor(self.workers, mp_context=FORK)
        self.call(double, 1)

    def end(self):
        self.pool.shutdown()


class Pool:
    def __init__(self, workers):
        self.workers = workers
        self.pool = FORK.Pool(workers)

    def call(self, function, *args):
        return self.pool.apply(function, args)

    def submit(self, function, *args):
        return self.pool.apply_async(function, args).get

    def map(self, function, inputs, chunksize=1):
        return self.pool.imap(function, inputs, chunksize)

    def processes(self):
        return list(self.pool._pool)

    def exit(self):
        # It is never answered.
        self.pool.apply_async(os._exit, (1,))

    def recover(self):
        self.call(double, 1)

    def end(self):
        # Where a call was never answered, close() and join() would wait for ever.
        self.pool.terminate()
        self.pool.join()


def clock(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def at_full_speed(seconds, most, run):
    """Finds how much fits into so many seconds, and does that: the amount, and what it took."""
    amount = min(8, most)
    while True:
        taken = clock(lambda: run(amount))
        if amount == most or taken >= seconds / 2:
            return amount, taken
        amount = min(max(amount + 1, min(int(amount / taken * seconds), 16 * amount)), most)


def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def proportional_set_size(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        own = ("Pss_Anon:", "Pss_Shmem:")
        return sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith(own))


class Jobs:
    """Each method is a job, and returns its numbers, or None."""

    def __init__(self, kind, workers):
        self.kind = kind
        self.workers = workers
        self.kept = None
        self.chunksize = None
        taken = min(clock(lambda: burn(100_000)) for _ in range(5))
        self.steps_per_micro = 100_000 / (taken * 1e6)

    @property
    def pool(self):
        if self.kept is None:
            self.kept = self.kind(self.workers)
        return self.kept

    def release(self):
        """Ends the pool that is kept, as a process that forks should have no threads."""
        if self.kept is not None:
            self.kept.end()
            self.kept = None

    def steps(self, micros):
        return max(1, round(micros * self.steps_per_micro))

    def round_trip(self, pause, trips, seconds):
        for x in range(8):
            self.pool.call(double, x)
        times = []
        begin = time.perf_counter()
        while len(times) < trips and time.perf_counter() - begin < seconds:
            if pause:
                time.sleep(pause)
            times.append(clock(lambda: self.pool.call(double, 21)))
        return times

    def map(self, tuned, seconds, most):
        def run(chunksize, count):
            assert sum(self.pool.map(double, range(count), chunksize)) == count * (count - 1)

        if tuned and self.chunksize is None:
            tried = [(clock(lambda: run(size, 100_000)), size) for size in CHUNKS]
            self.chunksize = min(tried)[1]
        chunksize = self.chunksize if tuned else 1
        count, taken = at_full_speed(seconds, most, lambda count: run(chunksize, count))
        return [count / taken]

    def submit(self, threads, seconds, most):
        def submit(count):
            results = [self.pool.submit(double, x) for x in range(count)]
            assert sum(result() for result in results) == count * (count - 1)

        def run(count):
            running = [threading.Thread(target=submit, args=(count,)) for _ in range(threads)]
            for thread in running:
                thread.start()
            for thread in running:
                thread.join()

        count, taken = at_full_speed(seconds, most, run)
        return [threads * count / taken]

    def tasks(self, micros, seconds):
        steps = self.steps(micros)
        count, _ = at_full_speed(seconds, 1_000_000, lambda count: self.burn([steps] * count))
        return self.share_of_ideal([steps] * count)

    def mixed(self, micros):
        return self.share_of_ideal([self.steps(length) for length in micros])

    def share_of_ideal(self, lengths):
        before = self.ideal(lengths)
        self.pool.call(double, 1)
        taken = clock(lambda: self.burn(lengths))
        return [min(before, self.ideal(lengths)) / taken]

    def burn(self, lengths):
        for _ in self.pool.map(burn, lengths):
            pass

    def ideal(self, lengths):
        """The time of the same work, the longest tasks first, each to the worker with least."""
        shares = [[0, []] for _ in range(self.workers)]
        for length in sorted(lengths, reverse=True):
            share = min(shares)
            share[0] += length
            share[1].append(length)
        # Processes without a pool.
        processes = [FORK.Process(target=burn_all, args=(share,)) for _, share in shares]

        def run():
            for process in processes:
                process.start()
            for process in processes:
                process.join()

        self.release()
        return clock(run)

    def echo(self, bytes, seconds):
        value = self.pool.call(echo, b"\1" * bytes)
        times = []
        begin = time.perf_counter()
        while len(times) < 2 or (len(times) < 1000 and time.perf_counter() - begin < seconds):
            start = time.perf_counter()
            value = self.pool.call(echo, value)
            times.append(time.perf_counter() - start)
        assert len(value) == bytes
        return times

    def shared(self, bytes, origin, seconds):
        """Reading every byte takes Python so long that nothing of the sharing would be seen."""
        return None

    def start(self, times):
        self.release()
        taken = []
        for _ in range(times):
            start = time.perf_counter()
            pool = self.kind(2)
            pool.call(double, 1)
            taken.append(time.perf_counter() - start)
            pool.end()
        return taken

    def shutdown(self, times):
        self.release()
        taken = []
        for _ in range(times):
            pool = self.kind(2)
            pool.call(double, 1)
            taken.append(clock(pool.end))
        return taken

    def replace(self, times, told):
        if told and self.kind is Pool:
            return None
        self.release()
        pool = self.kind(1)
        pool.call(double, 1)
        taken = []
        for _ in range(times):
            exits, recovers = clock(pool.exit), clock(pool.recover)
            taken.append(recovers if told else exits + recovers)
        pool.end()
        return taken

    def worker_memory(self):
        self.release()
        pool = self.kind(2)
        pool.call(double, 1)
        sizes = [proportional_set_size(process.pid) for process in pool.processes()]
        pool.end()
        return sizes

    def pending_calls(self, calls):
        """In a process of its own, so that no memory that was freed before hides the growth."""
        self.release()
        reader, writer = FORK.Pipe(False)
        child = FORK.Process(target=pending, args=(self.kind, min(calls, 20_000), writer))
        child.start()
        bytes_each = reader.recv()
        child.join()
        return [bytes_each]


def pending(kind, calls, answer):
    pool = kind(1)
    for _ in pool.map(double, range(1000)):
        pass
    pool.submit(time.sleep, 60)
    before = resident()
    futures = [pool.submit(double, x) for x in range(calls)]
    answer.send((resident() - before) / len(futures))
    for process in pool.processes():
        process.kill()
    os._exit(0)


def main():
    jobs = Jobs({"executor": Executor, "pool": Pool}[sys.argv[1]], int(sys.argv[2]))
    for line in sys.stdin:
        job = json.loads(line)
        numbers = getattr(jobs, job.pop("job"))(**job)
        print(json.dumps(numbers), flush=True)
    jobs.release()


main()
