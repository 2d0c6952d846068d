//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::run::Extent;
use crate::storm::{M1, M2, Storm};

/// What is asked for.
pub(crate) enum Command {
    Run(Extent),
    Storm {
        seed: u64,
        page: Option<PathBuf>,
    },
    Figures {
        page: Option<PathBuf>,
    },
    /// A little of each, to see that it works.
    Smoke,
    /// What `run` starts: one episode, by its seed.
    Episode(u64),
    /// What an episode starts, to be killed: a round by its seed, and where its calls are noted.
    Victim(u64, PathBuf),
    /// What `storm` starts: this pool in a storm.
    Contestant(Storm, u64),
    /// What `figures` starts, to be killed.
    Busy,
}

pub(crate) const USAGE: &str = "\
usage: pool-chaos run [--seed S] [--minutes M] [--episode N]
       pool-chaos storm [--seed S] [--write PAGE]
       pool-chaos figures [--write PAGE]
       pool-chaos --smoke";

type Arguments<'a> = &'a mut dyn Iterator<Item = String>;

impl Command {
    /// Reads the arguments behind the program's name.
    ///
    /// # Errors
    ///
    /// The text says which argument is not understood.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let arguments: Arguments<'_> = &mut arguments;
        match text(arguments, "a command")?.as_str() {
            "run" => run(arguments),
            "storm" => storm(arguments),
            "figures" => figures(arguments),
            "--smoke" => Ok(Self::Smoke),
            "busy" => Ok(Self::Busy),
            "episode" => number(arguments, "a seed").map(Self::Episode),
            "victim" => {
                let seed = number(arguments, "a seed")?;
                Ok(Self::Victim(seed, text(arguments, "a log")?.into()))
            }
            "contestant" => {
                let name = text(arguments, "a storm")?;
                let storm = [M1, M2].into_iter().find(|storm| storm.name == name);
                let storm = storm.ok_or_else(|| format!("{name} is no storm"))?;
                let kills = number(arguments, "a number of kills")?;
                let kills = usize::try_from(kills).map_err(|error| error.to_string())?;
                Ok(Self::Contestant(
                    storm.until(kills),
                    number(arguments, "a seed")?,
                ))
            }
            other => Err(format!("{other} is no command")),
        }
    }
}

fn text(arguments: Arguments<'_>, what: &str) -> Result<String, String> {
    arguments.next().ok_or_else(|| format!("{what} is missing"))
}

fn number(arguments: Arguments<'_>, what: &str) -> Result<u64, String> {
    let text = text(arguments, what)?;
    text.parse()
        .map_err(|error| format!("{text} is not {what}: {error}"))
}

fn run(arguments: Arguments<'_>) -> Result<Command, String> {
    let mut extent = Extent {
        seed: 1,
        time: Duration::from_mins(1),
        only: None,
    };
    while let Some(option) = arguments.next() {
        match option.as_str() {
            "--seed" => extent.seed = number(arguments, "a seed")?,
            "--minutes" => {
                extent.time = Duration::from_mins(number(arguments, "a number of minutes")?);
            }
            "--episode" => extent.only = Some(number(arguments, "a number of an episode")?),
            other => return Err(format!("{other} is no option")),
        }
    }
    Ok(Command::Run(extent))
}

fn storm(arguments: Arguments<'_>) -> Result<Command, String> {
    let (mut seed, mut page) = (1, None);
    while let Some(option) = arguments.next() {
        match option.as_str() {
            "--seed" => seed = number(arguments, "a seed")?,
            "--write" => page = Some(text(arguments, "a page")?.into()),
            other => return Err(format!("{other} is no option")),
        }
    }
    Ok(Command::Storm { seed, page })
}

fn figures(arguments: Arguments<'_>) -> Result<Command, String> {
    let mut page = None;
    while let Some(option) = arguments.next() {
        match option.as_str() {
            "--write" => page = Some(text(arguments, "a page")?.into()),
            other => return Err(format!("{other} is no option")),
        }
    }
    Ok(Command::Figures { page })
}
