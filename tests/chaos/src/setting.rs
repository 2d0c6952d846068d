//! What a round is to be like: drawn from the seed before anything happens.

use std::time::Duration;

use pool_core::{Error, Executor, Profile, StartMethod};
use pool_tests::tasks::nothing;
use pool_tests::{Random, builder};

use crate::bounds::Bounds;

/// How the executor of a round is built, hurt and ended.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    profile: Profile,
    pub(crate) start_method: StartMethod,
    pub(crate) workers: usize,
    min_workers: Option<usize>,
    idle_timeout: Option<Duration>,
    max_tasks: Option<u64>,
    max_age: Option<Duration>,
    pub(crate) memory_limit: Option<usize>,
    pub(crate) cpu_limit: Option<Duration>,
    open_files: Option<u64>,
    pub(crate) bounds: Bounds,
    pub(crate) queue_limit: Option<usize>,
    pub(crate) task_timeout: Option<Duration>,
    grace: Option<Duration>,
    pub(crate) retries: u32,
    hooks: Hooks,
    /// Threads that make calls.
    pub(crate) callers: usize,
    pub(crate) span: Duration,
    pub(crate) weapons: Weapons,
    pub(crate) end: End,
    /// Whether tasks leave processes behind.
    pub(crate) abandons: bool,
    /// Whether the numbers of the executor are looked at all along.
    pub(crate) is_monitored: bool,
}

#[derive(Clone, Copy, Debug)]
struct Hooks {
    preload: bool,
    initializer: bool,
    on_worker_exit: bool,
}

/// What the killer does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weapons {
    /// The longest pause between two signals; without, nobody is hurt.
    pub(crate) pause: Option<Duration>,
    pub(crate) on_server: bool,
    /// Whether processes are stopped for a while.
    pub(crate) stops: bool,
}

/// How an executor ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Drop,
    DropInPanic,
    Shutdown,
    ShutdownNow,
    ShutdownTimeout,
    Kill,
    /// As the one before, while calls are made.
    Amid(Abrupt),
}

/// An end that does not wait for whoever makes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abrupt {
    Shutdown,
    ShutdownNow,
    ShutdownTimeout,
    Kill,
}

const ENDS: [End; 10] = [
    End::Drop,
    End::DropInPanic,
    End::Shutdown,
    End::ShutdownNow,
    End::ShutdownTimeout,
    End::Kill,
    End::Amid(Abrupt::Shutdown),
    End::Amid(Abrupt::ShutdownNow),
    End::Amid(Abrupt::ShutdownTimeout),
    End::Amid(Abrupt::Kill),
];

/// Something in a part of all rounds.
fn sometimes<T>(
    random: &mut Random,
    one_in: usize,
    draw: impl FnOnce(&mut Random) -> T,
) -> Option<T> {
    random.one_in(one_in).then(|| draw(random))
}

impl Setting {
    pub(crate) fn draw(random: &mut Random) -> Self {
        use StartMethod::{Fork, ForkServer, Spawn};
        let workers = random.within(1..5);
        let profile = random.pick(&[
            Profile::Default,
            Profile::Default,
            Profile::Open,
            Profile::Untrusted,
        ]);
        let is_untrusted = profile == Profile::Untrusted;
        let start_method = if is_untrusted {
            random.pick(&[ForkServer, Spawn])
        } else {
            random.pick(&[ForkServer, ForkServer, ForkServer, Fork, Spawn])
        };
        // An executor within a task has some for its own workers.
        let open_files = if is_untrusted { 16..64 } else { 64..256 };
        // One worker for each call would else be what is tried most.
        let with_max_tasks = if is_untrusted { 2 } else { 4 };
        // Workers that take long to start are to come to something.
        let pauses: &[_] = if is_untrusted {
            &[30, 100]
        } else {
            &[3, 10, 30, 100]
        };
        Self {
            profile,
            start_method,
            workers,
            min_workers: sometimes(random, 3, |random| random.within(0..workers + 1)),
            idle_timeout: sometimes(random, 3, |random| random.millis(5..100)),
            max_tasks: sometimes(random, with_max_tasks, |random| random.within(1..50) as u64),
            max_age: sometimes(random, 8, |random| random.millis(20..300)),
            memory_limit: sometimes(random, 5, |random| random.within(48..96) << 20),
            cpu_limit: sometimes(random, 5, |random| random.millis(300..900)),
            open_files: sometimes(random, 4, |random| random.within(open_files) as u64),
            bounds: Bounds::draw(random),
            queue_limit: sometimes(random, 5, |random| random.within(5..300)),
            task_timeout: sometimes(random, 5, |random| random.millis(300..900)),
            grace: sometimes(random, 5, |random| random.millis(1..20)),
            retries: random.pick(&[0, 0, 1, 2]),
            hooks: Hooks {
                preload: start_method != Spawn && random.one_in(6),
                initializer: random.one_in(3),
                on_worker_exit: random.one_in(5),
            },
            callers: random.within(1..4),
            span: random.millis(200..2500),
            weapons: Weapons {
                pause: (!random.one_in(5))
                    .then(|| random.pick(pauses))
                    .map(Duration::from_millis),
                on_server: random.one_in(2),
                stops: random.one_in(2),
            },
            end: random.pick(&ENDS),
            abandons: random.one_in(2) && !is_untrusted,
            is_monitored: random.one_in(2),
        }
    }

    pub(crate) fn build(&self) -> Result<Executor, Error> {
        // Whoever is killed from outside may be idle; how many deaths that makes is not the point.
        let mut builder = builder(self.workers)
            .profile(self.profile)
            .start_method(self.start_method)
            .retries(self.retries)
            .restart_limit(u32::MAX, Duration::from_secs(1));
        if let Some(least) = self.min_workers {
            builder = builder.min_workers(least);
        }
        if let Some(timeout) = self.idle_timeout {
            builder = builder.idle_timeout(timeout);
        }
        if let Some(tasks) = self.max_tasks {
            builder = builder.max_tasks_per_worker(tasks);
        }
        if let Some(age) = self.max_age {
            builder = builder.max_worker_age(age);
        }
        if let Some(bytes) = self.memory_limit {
            builder = builder.memory_limit(bytes as u64);
        }
        if let Some(limit) = self.cpu_limit {
            builder = builder.cpu_limit(limit);
        }
        if let Some(most) = self.open_files {
            builder = builder.open_files(most);
        }
        builder = self.bounds.set(builder);
        if let Some(calls) = self.queue_limit {
            builder = builder.queue_limit(calls);
        }
        if let Some(timeout) = self.task_timeout {
            builder = builder.task_timeout(timeout);
        }
        if let Some(grace) = self.grace {
            builder = builder.grace(grace);
        }
        if self.hooks.preload {
            builder = builder.preload(nothing, ());
        }
        if self.hooks.initializer {
            builder = builder.initializer(nothing, ());
        }
        if self.hooks.on_worker_exit {
            builder = builder.on_worker_exit(nothing, ());
        }
        builder.build()
    }

    /// Whether tasks may do more than to compute: write files, start processes, have executors.
    pub(crate) fn is_trusting(&self) -> bool {
        self.profile != Profile::Untrusted
    }

    /// The same, for an application that is killed before it comes to its end. Nobody is left stopped
    /// then, as nobody would let him go on; and what tasks have started outlives an application and
    /// a fork server that are killed together.
    pub(crate) fn of_victim(mut self) -> Self {
        self.span = Duration::from_mins(1);
        self.abandons &= !self.weapons.on_server;
        self.weapons.stops = false;
        self
    }
}
