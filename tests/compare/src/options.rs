//! The command line.

use std::path::PathBuf;

use crate::job::Extent;

/// What is asked for.
pub(crate) struct Options {
    pub(crate) extent: Extent,
    /// Only rows whose names contain this.
    pub(crate) only: String,
    pub(crate) json: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    /// Write table and plot into the repository.
    pub(crate) write: bool,
    /// End at once: what it takes to start a program.
    pub(crate) nothing: bool,
    /// Tell what a pending call costs: the contestant, and how many.
    pub(crate) pending: Option<(String, u64)>,
}

pub(crate) const USAGE: &str = "\
usage: pool-compare [OPTIONS]
  --smoke      a little of everything, then bounds that fail if something got twice as slow
  --only NAME  only the rows whose names contain NAME
  --json FILE  write all numbers, of each round, to FILE
  --svg FILE   write a plot to FILE
  --write      write table and plot into BENCHMARKS.md and docs/benchmarks.svg";

impl Options {
    /// Reads the arguments behind the program's name.
    ///
    /// # Errors
    ///
    /// The text says which argument is not understood.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            extent: Extent::Full,
            only: String::new(),
            json: None,
            svg: None,
            write: false,
            nothing: false,
            pending: None,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let value = arguments.next();
                value.ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--smoke" => options.extent = Extent::Smoke,
                "--only" => options.only = value()?,
                "--json" => options.json = Some(value()?.into()),
                "--svg" => options.svg = Some(value()?.into()),
                "--write" => options.write = true,
                "--nothing" => options.nothing = true,
                "--pending" => {
                    let (who, calls) = (value()?, value()?);
                    let calls = calls.parse().map_err(|error| format!("{calls}: {error}"))?;
                    options.pending = Some((who, calls));
                }
                other => return Err(format!("{other} is no option")),
            }
        }
        Ok(options)
    }
}
