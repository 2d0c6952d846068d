//! What workers find around them, their last call, and what no two of them share.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs::{create_dir, read_to_string},
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    process,
    sync::OnceLock,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use pool_core::{ErrorKind, Executor, ExecutorBuilder, StartMethod, TaskErrorKind, task};
use pool_tests::{
    Gate, Isolated, Log, Misdeed, Scratch, builder, fails_with, isolated,
    suite::pids,
    sys,
    tasks::{cube, hang, misbehave, variable},
    until,
};

const COLOUR: &str = "POOL_TEST_COLOUR";

#[task]
fn variables() -> Vec<(OsString, OsString)> {
    env::vars_os().collect()
}

#[task]
fn directory() -> PathBuf {
    env::current_dir().unwrap_or_default()
}

/// The umask of this process, and its limits, each resource a line.
#[task]
fn conditions() -> (String, String) {
    let status = read_to_string("/proc/self/status").unwrap();
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let limits = read_to_string("/proc/self/limits").unwrap();
    (umask.unwrap().trim().to_owned(), limits)
}

/// The niceness of this process, and the processors that it may use.
#[task]
fn share() -> (i32, String) {
    let stat = read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let niceness = fields.split_whitespace().nth(16).unwrap();
    let status = read_to_string("/proc/self/status").unwrap();
    let allowed = |line: &str| Some(line.strip_prefix("Cpus_allowed_list:")?.trim().to_owned());
    let processors = status.lines().find_map(allowed).unwrap();
    (niceness.parse().unwrap(), processors)
}

#[task]
fn keep_variable(log: Log, name: String) {
    log.add(env::var(name).unwrap_or_default());
}

#[task]
fn sign_off(log: Log) {
    log.add(process::id());
}

#[task]
fn sign_off_late(log: Log, gate: Gate) {
    log.add(process::id());
    gate.pass();
}

#[task]
fn fail_to_sign_off(log: Log, misdeed: Option<Misdeed>) -> Result<(), String> {
    log.add(process::id());
    misdeed.map_or(Err("no pen".to_owned()), |misdeed| {
        misdeed.commit().map_err(str::to_owned)
    })
}

/// The same check for both ways by which workers get an environment.
const METHODS: [StartMethod; 2] = [StartMethod::ForkServer, StartMethod::Spawn];

#[test]
fn variables_are_set_and_removed() {
    Isolated::new().env(COLOUR, "blue").run(|| {
        for method in METHODS {
            let colour = |builder: ExecutorBuilder| {
                let executor = builder.start_method(method).build().unwrap();
                executor
                    .submit(variable, COLOUR.to_owned())
                    .result()
                    .unwrap()
            };
            assert_eq!(colour(builder(1)).as_deref(), Some("blue"));
            assert_eq!(
                colour(builder(1).env(COLOUR, "red")).as_deref(),
                Some("red")
            );
            assert_eq!(colour(builder(1).env_remove(COLOUR)), None);
            assert_eq!(colour(builder(1).env_clear()), None);
            let again = builder(1)
                .env(COLOUR, "red")
                .env_clear()
                .env(COLOUR, "green");
            assert_eq!(colour(again).as_deref(), Some("green"));
        }
        assert_eq!(
            env::var(COLOUR).unwrap(),
            "blue",
            "this process's is its own"
        );
    });
}

#[test]
fn the_rest_of_the_environment_is_the_applications() {
    isolated(|| {
        let workers = available_parallelism().unwrap().get();
        let told = [
            "OMP_NUM_THREADS",
            "RAYON_NUM_THREADS",
            "TOKIO_WORKER_THREADS",
        ];
        for method in METHODS {
            let executor = builder(workers).start_method(method).build().unwrap();
            let mut there = executor.submit(variables, ()).result().unwrap();
            let mut here = variables();
            for variables in [&mut there, &mut here] {
                variables.retain(|(name, _)| told.iter().all(|told| name != told));
                variables.sort();
            }
            assert_eq!(there, here);
        }
    });
}

#[test]
fn it_is_that_of_build_also_for_later_fork_servers() {
    isolated(|| {
        let scratch = Scratch::new();
        let place = scratch.path("place");
        create_dir(&place).unwrap();
        let log = scratch.log("preloaded");
        let args = (log.clone(), COLOUR.to_owned());
        let home = env::current_dir().unwrap();
        env::set_current_dir(&place).unwrap();
        let inherited = builder(1).build().unwrap();
        let relative = builder(1)
            .current_dir("..")
            .env(COLOUR, "red")
            .preload(keep_variable, args);
        let relative = relative.build().unwrap();
        env::set_current_dir(home).unwrap();
        let place = place.canonicalize().unwrap();
        for _ in 0..2 {
            for (executor, directory_there) in [
                (&inherited, place.as_path()),
                (&relative, place.parent().unwrap()),
            ] {
                let found = executor.submit(directory, ()).result().unwrap();
                assert_eq!(found, directory_there);
            }
            for executor in [&inherited, &relative] {
                replace_fork_server(executor);
            }
        }
        assert_eq!(
            relative
                .submit(variable, COLOUR.to_owned())
                .result()
                .unwrap()
                .unwrap(),
            "red"
        );
        assert!(log.lines().len() >= 2);
        assert!(
            log.lines().iter().all(|line| line == "red"),
            "the preload finds it"
        );
    });
}

/// Has another fork server take the place of this executor's.
fn replace_fork_server(executor: &Executor) {
    let before = executor.worker_pids();
    sys::kill(parent(before[0]), libc::SIGKILL).unwrap();
    until("another worker is there", || {
        let now = executor.worker_pids();
        !now.is_empty() && now != before
    });
}

#[test]
fn umask_and_limits_are_those_of_build_also_for_later_fork_servers() {
    isolated(|| {
        sys::umask(0o27);
        sys::limit(libc::RLIMIT_FSIZE, 1 << 32).unwrap();
        sys::limit(libc::RLIMIT_NOFILE, 321).unwrap();
        sys::limit(libc::RLIMIT_STACK, 4 << 20).unwrap();
        let at_build = conditions();
        assert_eq!(at_build.0, "0027");
        let executors = METHODS.map(|method| builder(1).start_method(method).build().unwrap());
        // Some of it is more now, and some less.
        sys::umask(0o72);
        sys::limit(libc::RLIMIT_FSIZE, 1 << 33).unwrap();
        sys::limit(libc::RLIMIT_NOFILE, 345).unwrap();
        sys::limit(libc::RLIMIT_STACK, 2 << 20).unwrap();
        let by_now = conditions();
        for _ in 0..2 {
            for executor in &executors {
                assert_eq!(executor.submit(conditions, ()).result().unwrap(), at_build);
                replace_fork_server(executor);
                assert_eq!(executor.submit(conditions, ()).result().unwrap(), at_build);
            }
        }
        assert_eq!(conditions(), by_now, "this process's are its own");
        sys::umask(0o22);
    });
}

#[test]
fn a_hard_limit_that_was_lowered_costs_no_fork_server() {
    isolated(|| {
        sys::renounce_privileges().unwrap();
        sys::limit(libc::RLIMIT_NOFILE, 321).unwrap();
        sys::limit(libc::RLIMIT_STACK, 4 << 20).unwrap();
        let executors = METHODS.map(|method| builder(1).start_method(method).build().unwrap());
        sys::limit(libc::RLIMIT_NOFILE, 222).unwrap();
        sys::limit_for_good(libc::RLIMIT_STACK, 3 << 20).unwrap();
        for executor in &executors {
            let (_, at_build) = executor.submit(conditions, ()).result().unwrap();
            assert_eq!(limits_to(&at_build, "Max open files")[0], "321");
            assert_eq!(limits_to(&at_build, "Max stack size")[0], "4194304");
            replace_fork_server(executor);
            let (_, later) = executor.submit(conditions, ()).result().unwrap();
            assert_eq!(
                limits_to(&later, "Max open files"),
                limits_to(&at_build, "Max open files")
            );
            assert_eq!(limits_to(&later, "Max stack size"), ["3145728", "3145728"]);
        }
    });
}

/// The soft and the hard limit to a resource.
fn limits_to<'a>(limits: &'a str, resource: &str) -> [&'a str; 2] {
    let line = limits.lines().find_map(|line| line.strip_prefix(resource));
    let mut words = line.unwrap().split_whitespace();
    [(); 2].map(|()| words.next().unwrap())
}

fn parent(pid: u32) -> u32 {
    let status = read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn threads_of_libraries_are_told_their_share_of_cores() {
    isolated(|| {
        let cores = available_parallelism().unwrap().get();
        for name in [
            "OMP_NUM_THREADS",
            "RAYON_NUM_THREADS",
            "TOKIO_WORKER_THREADS",
        ] {
            let told = |builder: ExecutorBuilder| {
                let executor = builder.env_remove("POOL_TEST_NONE").build().unwrap();
                executor.submit(variable, name.to_owned()).result().unwrap()
            };
            let share = (cores > 1).then(|| "1".to_owned());
            assert_eq!(told(builder(cores).env_clear()), share);
            assert_eq!(told(builder(3 * cores).env_clear()), share, "at least one");
            assert_eq!(
                told(builder(1).env_clear()),
                None,
                "all of them are its own"
            );
            assert_eq!(told(builder(cores).env(name, "7")).as_deref(), Some("7"));
            assert_eq!(told(builder(cores).env_clear().env_remove(name)), None);
        }
    });
}

#[test]
fn variables_of_the_application_are_left_alone() {
    Isolated::new().env("RAYON_NUM_THREADS", "5").run(|| {
        let executor = builder(4).build().unwrap();
        let told = executor
            .submit(variable, "RAYON_NUM_THREADS".to_owned())
            .result();
        assert_eq!(told.unwrap().as_deref(), Some("5"));
    });
}

#[test]
fn what_cannot_be_is_refused() {
    isolated(|| {
        let file = env::current_exe().unwrap();
        let marker = format!("POOL_WORKER_{}", env!("CARGO_PKG_VERSION"));
        for (builder, option) in [
            (builder(1).env("", "x"), "env"),
            (builder(1).env("a=b", "x"), "env"),
            (builder(1).env_remove("a=b"), "env"),
            (builder(1).env("a\0b", "x"), "env"),
            (builder(1).env("a", "x\0"), "env"),
            (builder(1).env(marker, "x"), "env"),
            (builder(1).current_dir("/no/such/place"), "current_dir"),
            (builder(1).current_dir(file), "current_dir"),
            (builder(1).current_dir(""), "current_dir"),
            (builder(1).cpu_affinity([]), "cpu_affinity"),
            (builder(1).cpu_affinity([0, 1 << 20]), "cpu_affinity"),
        ] {
            let error = builder.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
            assert!(error.to_string().contains(option), "{error}");
        }
        // Only the kernel knows that this machine has no such processor.
        let error = builder(1).cpu_affinity([1023]).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ForkServer);
        assert!(error.to_string().contains("cpu_affinity"), "{error}");
    });
}

#[test]
fn niceness_and_processors() {
    isolated(|| {
        let (niceness, processors) = share();
        for method in METHODS {
            let executor = builder(2).start_method(method).build().unwrap();
            let there = executor.submit(share, ()).result().unwrap();
            assert_eq!(there, (niceness, processors.clone()));
            let first: usize = processors
                .split(['-', ','])
                .next()
                .unwrap()
                .parse()
                .unwrap();
            let builder = Executor::builder().start_method(method).nice(4);
            let executor = builder.cpu_affinity([first, first]).build().unwrap();
            assert_eq!(executor.workers(), 1, "one for each of them");
            let there = executor.submit(share, ()).result().unwrap();
            assert_eq!(there, ((niceness + 4).min(19), first.to_string()));
        }
        assert_eq!(share(), (niceness, processors));
    });
}

/// What a preload has drawn from this process's source of chance.
static DRAWN: OnceLock<u64> = OnceLock::new();

fn draw() -> u64 {
    RandomState::new().hash_one(0)
}

#[task]
fn draw_first() {
    DRAWN.set(draw()).expect("once");
}

/// What the preload has drawn, and then two that are of this worker alone.
#[task]
fn drawn() -> (u64, u64, u64) {
    (*DRAWN.get().expect("it is drawn"), draw(), draw())
}

#[test]
fn chance_is_no_workers_twin() {
    isolated(|| {
        let executor = builder(1).preload(draw_first, ()).build().unwrap();
        let mut seen = BTreeSet::new();
        let mut first = None;
        for _ in 0..20 {
            let (preloaded, one, other) = executor.submit(drawn, ()).result().unwrap();
            assert_eq!(*first.get_or_insert(preloaded), preloaded);
            seen.extend([preloaded, one, other]);
            let killed = executor.submit(misbehave, Misdeed::Kill);
            Misdeed::Kill.is_told_by(&killed.result().unwrap_err());
        }
        assert_eq!(
            seen.len(),
            41,
            "all differ, but for what was drawn before the fork"
        );
    });
}

#[test]
fn every_worker_signs_off() {
    isolated(|| {
        let scratch = Scratch::new();
        let ends: [fn(Executor); 4] = [
            drop,
            |executor| executor.shutdown(),
            |executor| executor.shutdown_now(),
            |executor| assert!(executor.shutdown_timeout(Duration::from_mins(1))),
        ];
        for method in METHODS {
            for (number, end) in ends.iter().enumerate() {
                let log = scratch.log(&format!("{method:?} {number}"));
                let executor = builder(3)
                    .start_method(method)
                    .on_worker_exit(sign_off, log.clone());
                let executor = executor.build().unwrap();
                let workers = pids(&executor);
                assert!(log.lines().is_empty(), "not before the end");
                end(executor);
                assert_eq!(log.numbers().into_iter().collect::<BTreeSet<_>>(), workers);
                assert_eq!(log.lines().len(), 3, "once each");
            }
        }
    });
}

#[test]
fn workers_that_die_or_are_killed_do_not_sign_off() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("signed off");
        let build = || {
            let builder = builder(1).on_worker_exit(sign_off, log.clone());
            builder.build().unwrap()
        };
        let executor = build();
        let before = pids(&executor);
        let killed = executor.submit(misbehave, Misdeed::Kill);
        Misdeed::Kill.is_told_by(&killed.result().unwrap_err());
        let after = pids(&executor);
        executor.shutdown();
        assert_ne!(before, after);
        assert_eq!(log.numbers().into_iter().collect::<BTreeSet<_>>(), after);

        let executor = build();
        pids(&executor);
        executor.kill();
        let executor = build();
        let running = scratch.log("running");
        let hanging = executor.submit(hang, running.clone());
        running.reaches(1);
        assert!(!executor.shutdown_timeout(Duration::from_millis(10)));
        fails_with(hanging.result(), TaskErrorKind::Killed);
        drop(executor);
        let executor = builder(1)
            .on_worker_exit(sign_off, log.clone())
            .initializer(fail_to_sign_off, (scratch.log("tried"), None));
        let executor = executor.build().unwrap();
        fails_with(executor.submit(cube, 2).result(), TaskErrorKind::PoolBroken);
        drop(executor);
        assert_eq!(log.lines().len(), 1);
    });
}

#[test]
fn a_last_call_that_goes_wrong_costs_nothing() {
    isolated(|| {
        let misdeeds = Misdeed::OF_TASKS.map(Some);
        for misdeed in misdeeds.into_iter().chain([None]) {
            let scratch = Scratch::new();
            let log = scratch.log("tried");
            let builder = builder(2).on_worker_exit(fail_to_sign_off, (log.clone(), misdeed));
            let executor = builder.build().unwrap();
            pids(&executor);
            let value = executor.submit(cube, 2);
            executor.shutdown();
            assert_eq!(value.result().unwrap(), 8);
            assert_eq!(log.lines().len(), 2, "{misdeed:?}");
        }
    });
}

#[test]
fn a_last_call_that_hangs_is_stopped_in_time() {
    isolated(|| {
        let scratch = Scratch::new();
        let gate = scratch.gate("gate");
        let closed = |name: &str, limit| {
            let log = scratch.log(name);
            let hanging = builder(2).on_worker_exit(sign_off_late, (log.clone(), gate.clone()));
            let executor = hanging.exit_timeout(limit).build().unwrap();
            pids(&executor);
            executor.close();
            log.reaches(2);
            executor
        };
        let executor = closed("limited", Duration::from_secs(1));
        let start = Instant::now();
        executor.shutdown();
        assert!(start.elapsed() < Duration::from_secs(10));

        // And sooner by a kill.
        let executor = closed("killed", Duration::MAX);
        executor.kill();
        let executor = closed("killed in time", Duration::MAX);
        assert!(!executor.shutdown_timeout(Duration::from_millis(50)));

        // One that takes long is waited for.
        let executor = closed("waited for", Duration::MAX);
        assert!(!executor.worker_pids().is_empty());
        gate.open();
        executor.shutdown();
    });
}

#[test]
fn f72_an_initializer_that_hangs_is_stopped_in_time() {
    isolated(|| {
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("tried"), scratch.gate("gate"));
        let builder = builder(2).initializer(sign_off_late, (log.clone(), gate.clone()));
        let limit = Duration::from_millis(100);
        let executor = builder.clone().initializer_timeout(limit).build().unwrap();
        let error = fails_with(executor.submit(cube, 2).result(), TaskErrorKind::PoolBroken);
        let text = std::error::Error::source(&error).unwrap().to_string();
        assert!(text.contains("did not return within 100ms"), "{text}");
        assert!(text.contains("initializer_timeout"), "the remedy: {text}");
        drop(executor);
        assert!(log.lines().len() <= 2, "once in each worker");

        // Those that return in time are left alone afterwards.
        gate.open();
        let limit = Duration::from_secs(2);
        let executor = builder.initializer_timeout(limit).build().unwrap();
        let workers = pids(&executor);
        let end = Instant::now() + limit;
        until("the limit has passed", || Instant::now() > end);
        assert_eq!(pids(&executor), workers);
    });
}
