//! The two storms.

/// Calls of one kind, and a worker killed again and again meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storm {
    pub(crate) name: &'static str,
    pub(crate) calls: usize,
    /// How long each call sleeps, in milliseconds, and how many bytes it returns.
    pub(crate) millis: u64,
    pub(crate) bytes: usize,
    /// The pause between two kills, in milliseconds.
    pub(crate) pause: u64,
    /// Calls are made anew until so many kills have been made.
    pub(crate) kills: usize,
}

pub(crate) const WORKERS: usize = 4;

/// Kills that mostly land in tasks.
pub(crate) const M1: Storm = Storm {
    name: "M1",
    calls: 300,
    millis: 20,
    bytes: 1,
    pause: 150,
    kills: 0,
};

/// Kills that mostly land in the protocol.
pub(crate) const M2: Storm = Storm {
    name: "M2",
    calls: 3000,
    millis: 0,
    bytes: 200_000,
    pause: 30,
    kills: 0,
};

impl Storm {
    /// The same until so many kills have been made.
    pub(crate) fn until(self, kills: usize) -> Self {
        Self { kills, ..self }
    }

    /// What it is in words.
    pub(crate) fn describe(&self) -> String {
        let work = match self.millis {
            0 => "empty calls".to_owned(),
            millis => format!("calls of {millis} ms"),
        };
        let returning = match self.bytes {
            0..1000 => String::new(),
            bytes => format!(" that return {} kB", bytes / 1000),
        };
        let Self {
            name, calls, pause, ..
        } = self;
        format!("{name}: {calls} {work}{returning}, {WORKERS} workers, one killed every {pause} ms")
    }
}
