//! The table of all sites.

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// One that has executors.
    Application,
    /// A fork server.
    ForkServer,
    /// A worker.
    Worker,
}

use Process::{Application, ForkServer, Worker};

/// Defines [`Site`]: each with what happens there, its name, whose site it is, and whether an error
/// can come of it.
macro_rules! sites {
    ($($(#[$doc:meta])+ $site:ident = $name:literal in $($process:ident)|+ $(, $fails:ident)?;)+) => {
        /// A step at which a process may be hit by a fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Site {
            $($(#[$doc])+ $site,)+
        }

        impl Site {
            /// Each of them once.
            pub const ALL: &'static [Self] = &[$(Self::$site),+];

            /// What plans name it by.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$site => $name,)+
                }
            }

            /// The processes that come by.
            pub const fn processes(self) -> &'static [Process] {
                match self {
                    $(Self::$site => &[$($process),+],)+
                }
            }

            /// Whether an error can come of it.
            pub const fn can_fail(self) -> bool {
                match self {
                    $(Self::$site => sites!(@fails $($fails)?),)+
                }
            }
        }
    };
    (@fails) => { false };
    (@fails fails) => { true };
}

sites! {
    /// The entry hook finds out whether this is a program that may be a fork server or a worker.
    Fits = "entry.fits" in ForkServer, fails;
    /// The entry hook was told to be a fork server or a worker.
    Marked = "entry.marked" in ForkServer;
    /// All constructors of the program have run.
    Constructed = "entry.constructed" in ForkServer;

    /// The setup is read.
    ServerSetup = "server.setup" in ForkServer, fails;
    /// It can serve, and has not told so yet.
    ServerReady = "server.ready" in ForkServer;
    /// It waits for something to do.
    ServerWaits = "server.waits" in ForkServer, fails;
    /// A request is received.
    ServerRequest = "server.request" in ForkServer, fails;
    /// A worker is forked.
    ServerForks = "server.forks" in ForkServer, fails;
    /// A worker was forked, and nobody was told yet.
    ServerForked = "server.forked" in ForkServer, fails;
    /// A report is sent.
    ServerReport = "server.report" in ForkServer, fails;
    /// A death is looked for.
    ServerReaps = "server.reaps" in ForkServer, fails;
    /// What dead workers have left is looked for.
    ServerSweeps = "server.sweeps" in ForkServer, fails;
    /// The preload was asked for.
    ServerPreload = "server.preload" in ForkServer, fails;
    /// The preload was answered.
    ServerPreloaded = "server.preloaded" in ForkServer;
    /// A spare is forked.
    ServerSpare = "server.spare" in ForkServer, fails;
    /// The spare is given its rings.
    ServerEmploys = "server.employs" in ForkServer, fails;
    /// The application wants it to end.
    ServerEnds = "server.ends" in ForkServer;

    /// A new process, fresh from the fork.
    WorkerForked = "worker.forked" in Worker;
    /// It binds itself to its fork server.
    WorkerPrepares = "worker.prepares" in Worker, fails;
    /// A spare waits for its rings.
    WorkerWaits = "worker.waits" in Worker, fails;
    /// The rings are mapped.
    WorkerRings = "worker.rings" in Worker, fails;
    /// The task thread is started.
    WorkerThread = "worker.thread" in Worker, fails;
    /// The main thread was woken by the control socket.
    WorkerRoused = "worker.roused" in Worker;
    /// An errand was received.
    WorkerErrand = "worker.errand" in Worker, fails;
    /// A shared value is mapped.
    WorkerValue = "worker.value" in Worker, fails;
    /// The application has closed the control socket.
    WorkerEnds = "worker.ends" in Worker;

    /// The task thread wants a call.
    TaskIdle = "task.idle" in Worker | ForkServer;
    /// It sleeps from here on, unless it is woken in this very moment.
    TaskDozes = "task.dozes" in Worker;
    /// It has slept.
    TaskWoken = "task.woken" in Worker;
    /// A call was claimed.
    Claimed = "call.claimed" in Worker | ForkServer;
    /// Its arguments were copied out of the ring, or their beginning was.
    Taken = "call.taken" in Worker | ForkServer;
    /// One piece of large arguments was taken.
    PieceTaken = "call.piece" in Worker;
    /// The arguments are decoded.
    Decodes = "call.decodes" in Worker | ForkServer;
    /// The task is called.
    Calls = "call.calls" in Worker | ForkServer;
    /// The output is encoded.
    Encodes = "call.encodes" in Worker | ForkServer;
    /// The task panicked, and the panic is noted.
    Panics = "call.panics" in Worker;
    /// There is an answer.
    Answers = "answer.begins" in Worker | ForkServer;
    /// The answer lies in the ring, where nobody knows of it yet.
    Written = "answer.written" in Worker | ForkServer;
    /// The answer was committed.
    Committed = "answer.committed" in Worker | ForkServer;
    /// One piece of a large answer is about to be written.
    PieceAnswered = "answer.piece" in Worker;
    /// The application is rung.
    Rings = "answer.rings" in Worker | ForkServer;

    /// What a fork server is to be given is made.
    LaunchPrepares = "launch.prepares" in Application, fails;
    /// A fork server is executed.
    LaunchExecutes = "launch.executes" in Application, fails;
    /// A fork server was started, and is not known to be ready.
    LaunchWaits = "launch.waits" in Application, fails;
    /// A fork server is ready, and its executor is not there yet.
    Launched = "launch.done" in Application, fails;
    /// The preload is asked for.
    Preload = "preload.begins" in Application, fails;
    /// The preload was answered.
    Preloaded = "preload.done" in Application;
    /// The memory of a new worker's rings is made.
    Hires = "hire.begins" in Application, fails;
    /// Something is asked of the fork server.
    Asks = "hire.asks" in Application, fails;
    /// A worker was asked for, and is no member yet.
    Asked = "hire.asked" in Application;
    /// A worker was made a member, with its first call.
    Admitted = "hire.admitted" in Application;
    /// The fork server has told of a new worker.
    Born = "hire.born" in Application;
    /// A report of the fork server is taken.
    TakesReport = "loop.report" in Application, fails;
    /// The event loop waits.
    LoopWaits = "loop.waits" in Application, fails;
    /// A descriptor is to be watched by the event loop.
    LoopWatches = "loop.watches" in Application, fails;

    /// Arguments are encoded.
    Submits = "call.submits" in Application;
    /// A call is placed in a worker's ring.
    Places = "call.places" in Application;
    /// A worker is woken, if it sleeps.
    Wakes = "call.wakes" in Application;
    /// Pieces of large arguments are placed.
    Streams = "call.streams" in Application;
    /// The memory of a shared value is made.
    Shares = "share.makes" in Application, fails;
    /// A worker is told of a shared value, or of its end.
    Errand = "share.errand" in Application, fails;
    /// Answers of a worker are taken in.
    Collects = "answer.collects" in Application;
    /// Bells are armed.
    Settles = "answer.settles" in Application;
    /// A result is decoded.
    DecodesResult = "answer.decodes" in Application;
    /// A thread sleeps on a worker.
    SleepsOnWorker = "wait.worker" in Application;
    /// A thread sleeps on a call.
    SleepsOnCall = "wait.call" in Application;
    /// The thread for callbacks, or wakers, is started.
    NotifierThread = "wait.thread" in Application, fails;
    /// A callback or a waker is run.
    Notifies = "wait.notifies" in Application;

    /// The worker of a call that is out of time, or unwanted, is stopped.
    Stops = "stop.running" in Application;
    /// A worker that has done enough makes its last call.
    SeesOff = "stop.sees_off" in Application;
    /// A worker is gone.
    WorkerGone = "death.seen" in Application;
    /// It is known how a worker ended.
    Died = "death.told" in Application;
    /// The fork server is gone.
    ServerGone = "death.server" in Application;

    /// An executor takes no more calls.
    Closes = "end.closes" in Application;
    /// The workers' last calls are made.
    Farewell = "end.farewell" in Application;
    /// The workers are let go of.
    Dismisses = "end.dismisses" in Application;
    /// The fork server is told to end.
    Finishes = "end.finishes" in Application;
    /// The fork server was told to end, and is waited for.
    AwaitsEnd = "end.waits" in Application, fails;
    /// The executor's thread is over, and its processes are gone.
    Ended = "end.done" in Application;
}
