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
//! | `pool.map_async(..)`, `.imap(..)` | `pool.map(..).start()`, `pool.map(..)` |
//! | `pool.imap_unordered(f, xs)` | `pool.map(f, xs).unordered()`, with the index of each input |
//! | `imap(..).next(timeout)` | `.next_timeout(t)` |
//! | `callback=`, `error_callback=` | `.on_done(f)` |
//! | `result.get(timeout)`, `.wait(t)`, `.ready()` | `.result_timeout(t)`, `.wait_timeout(t)`, `.is_done()` |
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
//! | `ProcessExpired`, with its `exitcode` | `TaskErrorKind::WorkerDied`, with `signal()` and `exit_code()` |
//! | `pool.close()`, `.join(timeout)`, `.stop()` | `pool.close()`, `.shutdown_timeout(t)`, `.kill()` |
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
//! | `xs.into_par_iter().map(f).collect()` | `pool.map(f, xs).collect()` |
//! | `xs.par_iter().map(f)` | `pool.map_ref(f, &xs)`, which encodes from a borrow |
//! | `xs.par_bridge().map(f)` | `pool.map(f, xs).unordered()` |
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
//! | `procspawn::spawn(args, \|args\| ..)` | `pool.submit(f, args)`: a function with `#[task]` in place of the closure |
//! | `Pool::builder(n).build()?` | `Executor::builder().workers(n).build()?` |
//! | `pool.spawn(args, \|args\| ..)` | `pool.submit(f, args)` |
//! | `handle.join()`, `.join_timeout(t)` | `.result()`; `.options().timeout(t)`, which stops the call as `join_timeout` does |
//! | `handle.kill()` | `.kill()` |
//! | `SpawnError::is_panic()`, `.panic_info()` | `TaskErrorKind::Panicked`, `panic_message()` and `panic_location()` |
//! | `SpawnError::is_remote_close()` | `TaskErrorKind::WorkerDied`, with how it died |
//! | `Builder::env(..)`, `.env_clear()` | `builder.env(..)`, `.env_clear()` |
//! | `pool.shutdown()`, `.kill()` | `pool.shutdown()`, `.kill()` |
//! | `Json(value)`, for what its format cannot carry | not needed: what would change on the way is refused |
