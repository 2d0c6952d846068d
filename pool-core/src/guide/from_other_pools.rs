//! What the calls of other pools are here.
//!
//! In the tables `pool` is an [`Executor`](crate::Executor), `builder` an
//! [`ExecutorBuilder`](crate::ExecutorBuilder), and `f` a function with [`#[task]`](crate::task).
//!
//! # Python's `concurrent.futures`
//!
//! | `ProcessPoolExecutor` | here |
//! |---|---|
//! | `with ProcessPoolExecutor(n) as pool:` | `let pool = Executor::builder().workers(n).build()?`, dropped at the end of the block |
//! | `pool.submit(f, x)`, `pool.submit(f, x, y)` | `pool.submit(f, x)`, `pool.submit(f, (x, y))` |
//! | `pool.map(f, xs)`, `pool.map(f, xs, ys)` | `pool.map(f, xs)`, `pool.map(f, xs.zip(ys))` |
//! | `pool.map(.., timeout=t)` | `pool.map(..).deadline(t)`, which stops what runs; or `.next_timeout(t)` for each |
//! | `pool.map(.., chunksize=n)` | not needed |
//! | `pool.map(.., buffersize=n)` | `pool.map(..).window(n)`; bounded without it |
//! | `future.result()`, `.result(timeout)` | `.result()`, `.result_timeout(t)`, `.await` |
//! | `future.exception()` | the `Err` of the result |
//! | `future.done()`, `.running()`, `.cancelled()` | `.is_done()`, `.is_running()`, `.is_cancelled()` |
//! | `future.cancel()` | `.cancel()`; and `.kill()` for what runs |
//! | `future.add_done_callback(f)` | `.on_done(f)` |
//! | `wait(fs, timeout, return_when)` | `wait(&fs, WaitFor::.., timeout)` |
//! | `as_completed(fs, timeout)` | `as_completed(fs)`, `.next_timeout(t)` |
//! | `pool.shutdown()`, `(wait=False)`, `(cancel_futures=True)` | `.shutdown()`, `.close()`, `.shutdown_now()` |
//! | `pool.shutdown(wait=False, cancel_futures=True)` | `.close_now()` |
//! | `pool.kill_workers()`, `.terminate_workers()` | `.kill()` |
//! | `initializer=f, initargs=(x,)` | `builder.initializer(f, x)` |
//! | `max_tasks_per_child=n` | `builder.max_tasks_per_worker(n)` |
//! | `mp_context=get_context("spawn")` | `builder.start_method(StartMethod::Spawn)` |
//! | `set_forkserver_preload(modules)` | `builder.preload(f, x)` |
//! | `BrokenProcessPool`, for all calls | `TaskErrorKind::WorkerDied`, for the one that ran |
//!
//! # Python's `multiprocessing.Pool`
//!
//! | `Pool` | here |
//! |---|---|
//! | `Pool(n, initializer, initargs, maxtasksperchild)` | `builder.workers(n).initializer(f, x).max_tasks_per_worker(m).build()?` |
//! | `pool.apply(f, (x, y))`, `.apply_async(..)` | `pool.submit(f, (x, y)).result()`, `pool.submit(f, (x, y))` |
//! | `pool.map(f, xs)`, `.starmap(f, pairs)` | `pool.map(f, xs).collect()`, `pool.map(f, pairs).collect()` |
//! | `pool.map_async(..)`, `.starmap_async(..)` | `pool.map(f, xs).start()`, `pool.map(f, pairs).start()`; to have all run while nobody reads, a `submit` each |
//! | `pool.imap(f, xs)` | `pool.map(f, xs)`, whose inputs are drawn as results are taken |
//! | `chunksize=n` of any of these | not needed |
//! | `pool.imap_unordered(f, xs)` | `pool.map(f, xs).unordered()`, with the index of each input |
//! | `imap(..).next(timeout)` | `.next_timeout(t)` |
//! | `callback=`, `error_callback=` | `.on_done(f)` |
//! | `result.get(timeout)`, `.wait(t)`, `.ready()` | `.result_timeout(t)`, `.wait_timeout(t)`, `.is_done()` |
//! | `result.successful()` | `.try_result()` gives the future back if it is not done, else `Ok` or `Err` as the call ended |
//! | `pool.close()` and `pool.join()` | `pool.shutdown()` |
//! | `pool.terminate()` | `pool.kill()` |
//! | `shared_memory.SharedMemory`, `sharedctypes.RawArray` | `pool.share_slice(&numbers)?`, read-only, which frees itself |
//!
//! # Python's `pebble`
//!
//! | `ProcessPool` | here |
//! |---|---|
//! | `ProcessPool(max_workers, max_tasks, initializer)` | `builder.workers(n).max_tasks_per_worker(m).initializer(f, x).build()?` |
//! | `pool.schedule(f, (x,), timeout=t)`, `pool.submit(f, t, x)` | `pool.options().timeout(t).submit(f, x)` |
//! | `pool.map(f, xs, timeout=t)` | `pool.options().timeout(t).map(f, xs)`: a limit for each item |
//! | `future.cancel()`, of what runs | `.kill()` |
//! | `pool.map(..).cancel()` | [`Map::cancel`](crate::Map::cancel), which cancels what has not begun and draws no more inputs; dropping a map of `.options().kill_on_drop(true)` stops what runs too |
//! | `ProcessExpired`, with its `exitcode` | `TaskErrorKind::WorkerDied`, with `signal()` and `exit_code()` |
//! | `pool.close()`, `.join(timeout)`, `.stop()` | `pool.close()`, `.shutdown_timeout(t)`, `.kill()` |
//! | `pool.active` | `!pool.is_closed()`: whether it takes calls |
//! | `@concurrent.process(timeout=t)` | `#[task]` and the first line of calls above |
//!
//! # `rayon`
//!
//! rayon's threads share memory and cost less for each call; workers here share nothing, may crash, and can
//! be stopped.
//!
//! | `rayon` | here |
//! |---|---|
//! | `ThreadPoolBuilder::new().num_threads(n).build()?` | `Executor::builder().workers(n).build()?` |
//! | `pool.install(\|\| ..)` | not needed: a call says which executor it is for |
//! | `xs.into_par_iter().map(f).collect()` | `pool.map(f, xs).collect()` |
//! | `xs.par_iter().map(f)` | `pool.map_ref(f, &xs)`, which encodes from a borrow |
//! | `xs.par_bridge().map(f)` | `pool.map(f, xs).unordered()` |
//! | `xs.par_chunks(n).map(f)` | `pool.map(f, xs.chunks(n).map(<[_]>::to_vec))`; without copies, `pool.share_slice(&xs)?` and ranges as inputs |
//! | `.find_any(p)`, `.any(p)` | `pool.map(f, xs).unordered()`, then `.find(..)`, `.any(..)`: what is left is cancelled when it is dropped |
//! | `.reduce(zero, f)`, `.sum()` | a task that reduces a part, `pool.map(f, parts)`, and `.fold(..)` or `.sum()` of what comes |
//! | `join(f, g)` | two `submit`s, then their `result`s |
//! | `scope(..)`, `spawn(..)` | `submit`: futures borrow nothing; closures are no tasks |
//! | `pool.broadcast(..)` | `pool.broadcast(f, args)` |
//! | `current_thread_index()`, `current_num_threads()` | `current()?.worker()`, `pool.workers()` |
//! | `start_handler`, `exit_handler` | `builder.initializer(f, x)`, `builder.on_worker_exit(f, x)` |
//! | `panic_handler`; a panic goes through to the caller | `TaskErrorKind::Panicked`, for the one call |
//!
//! # `procspawn`
//!
//! | `procspawn` | here |
//! |---|---|
//! | `procspawn::init()` at the head of `main` | nothing |
//! | `ProcConfig::new().config_callback(f)` | `builder.initializer(f, x)` |
//! | `ProcConfig`, of arguments, panics and backtraces | not needed: panics are caught, and have a backtrace where `RUST_BACKTRACE` asks for one; what a worker is to know of the command line is an argument |
//! | `procspawn::spawn(args, \|args\| ..)` | `pool.submit(f, args)`: a function with `#[task]` in place of the closure |
//! | `Pool::new(n)?`, `Pool::builder(n).build()?` | `Executor::builder().workers(n).build()?` |
//! | `pool.size()`, `.queued_count()`, `.active_count()` | `pool.workers()`, `pool.stats()`: `queued`, `running` |
//! | `pool.spawn(args, \|args\| ..)` | `pool.submit(f, args)` |
//! | `handle.join()`, `.join_timeout(t)` | `.result()`; `.options().timeout(t)`, which stops the call as `join_timeout` does |
//! | `handle.kill()` | `.kill()` |
//! | `handle.pid()` | `pool.worker_pids()` for all; of a failed call, `error.worker_pid()`; in a task, `std::process::id()` |
//! | `SpawnError::is_panic()`, `.panic_info()` | `TaskErrorKind::Panicked`, `panic_message()` and `panic_location()` |
//! | `SpawnError::is_remote_close()` | `TaskErrorKind::WorkerDied`, with how it died |
//! | `SpawnError::is_timeout()`, `.is_cancellation()` | `TaskErrorKind::TimedOut`; `Cancelled`, or `Killed` where it had begun |
//! | `Builder::env(..)`, `.env_clear()` | `builder.env(..)`, `.env_clear()` |
//! | `disable_stdin()` | nothing: workers read nothing from standard input |
//! | `disable_stdout()`, `disable_stderr()` | workers share the application's; in an `initializer`, have the descriptors refer to `/dev/null`, or take `Profile::Untrusted` |
//! | `Builder::stdin(..)`, `.stdout(..)`, `.stderr(..)`, `handle.stdin()` and its like | arguments and results; for a stream, the path of a file or socket as an argument |
//! | `Builder::uid(..)`, `.gid(..)` | none: workers run as who the application is; to keep tasks off what that may do, a `Profile` |
//! | `Builder::pre_exec(f)` | `builder.initializer(f, x)`, in each worker before any call |
//! | `pool.join()`, which keeps the pool | `wait(&futures, WaitFor::All, None)`, or the end of a `map` |
//! | `pool.shutdown()`, `.kill()` | `pool.shutdown()`, `.kill()` |
//! | `Shmem::from_bytes(&bytes)` | `pool.share_slice(&bytes)?`, a `Shared<[u8]>` |
//! | `Json(value)`, for what its format cannot carry | not needed: what would change on the way is refused |
