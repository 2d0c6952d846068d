//! An error that can cross from a task to its caller, whatever it was.

use std::{
    error::Error,
    fmt::{self, Display},
    iter,
};

use serde::{Deserialize, Serialize};

/// How many sources of an error are kept; a chain may come from a worker, or lead in a circle.
const MAX_SOURCES: usize = 64;

/// The texts of any error and of its sources, for tasks whose errors serde does not know.
///
/// `?` turns every [`std::error::Error`] into one. Like other catch-all error types it is therefore
/// no [`std::error::Error`] itself, but it becomes a `Box<dyn Error + Send + Sync>` by `?` or
/// `into()`, which keeps the chain of sources. `{}` shows the error, `{:#}` the whole chain in one
/// line, `{:?}` the chain in lines.
///
/// ```
/// use pool_core::AnyError;
///
/// fn length(path: String) -> Result<u64, AnyError> {
///     Ok(std::fs::metadata(path)?.len())
/// }
///
/// let error = length("/does/not/exist".into()).unwrap_err();
/// assert!(error.to_string().contains("No such file"));
///
/// let boxed: Box<dyn std::error::Error + Send + Sync> = error.into();
/// assert!(boxed.to_string().contains("No such file"));
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnyError {
    text: String,
    sources: Vec<String>,
}

impl AnyError {
    /// An error of nothing but a text.
    ///
    /// ```
    /// # use pool_core::AnyError;
    /// fn root(x: f64) -> Result<f64, AnyError> {
    ///     if x < 0.0 {
    ///         return Err(AnyError::new("no root of a negative number"));
    ///     }
    ///     Ok(x.sqrt())
    /// }
    ///
    /// assert_eq!(root(-1.0).unwrap_err().to_string(), "no root of a negative number");
    /// ```
    pub fn new(text: impl Display) -> Self {
        Self {
            text: text.to_string(),
            sources: Vec::new(),
        }
    }

    /// The texts of `error` and of its sources, for errors behind a `dyn Error`, which `?` cannot
    /// turn.
    ///
    /// ```
    /// # use pool_core::AnyError;
    /// fn number(text: &str) -> Result<i32, Box<dyn std::error::Error>> {
    ///     Ok(text.parse()?)
    /// }
    ///
    /// fn task(text: String) -> Result<i32, AnyError> {
    ///     number(&text).map_err(|error| AnyError::from_dyn(&*error))
    /// }
    ///
    /// assert_eq!(task("7".into()), Ok(7));
    /// assert!(task("seven".into()).is_err());
    /// ```
    pub fn from_dyn(error: &dyn Error) -> Self {
        Self {
            text: error.to_string(),
            sources: iter::successors(error.source(), |&error| error.source())
                .take(MAX_SOURCES)
                .map(ToString::to_string)
                .collect(),
        }
    }

    /// The error's text, then that of its source, and so on.
    ///
    /// ```
    /// # use pool_core::AnyError;
    /// let error = AnyError::new("out of paper");
    /// assert_eq!(error.chain().collect::<Vec<_>>(), ["out of paper"]);
    /// ```
    pub fn chain(&self) -> impl Iterator<Item = &str> {
        iter::once(&self.text)
            .chain(&self.sources)
            .map(String::as_str)
    }
}

impl<E: Error> From<E> for AnyError {
    fn from(error: E) -> Self {
        Self::from_dyn(&error)
    }
}

impl Display for AnyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if f.alternate() {
            for source in &self.sources {
                write!(f, ": {source}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for AnyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        for source in &self.sources {
            write!(f, "\ncaused by: {source}")?;
        }
        Ok(())
    }
}

/// An [`AnyError`] as a chain of sources that can be boxed.
struct Chained {
    text: String,
    source: Option<Box<Self>>,
}

impl From<AnyError> for Chained {
    fn from(error: AnyError) -> Self {
        let source = error
            .sources
            .into_iter()
            .take(MAX_SOURCES)
            .rev()
            .fold(None, |source, text| Some(Box::new(Self { text, source })));
        Self {
            text: error.text,
            source,
        }
    }
}

impl Display for Chained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Chained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.source {
            Some(source) => write!(f, "\ncaused by: {source:?}"),
            None => Ok(()),
        }
    }
}

impl Error for Chained {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<AnyError> for Box<dyn Error + Send + Sync> {
    fn from(error: AnyError) -> Self {
        Box::new(Chained::from(error))
    }
}

impl From<AnyError> for Box<dyn Error> {
    fn from(error: AnyError) -> Self {
        Box::new(Chained::from(error))
    }
}

#[cfg(test)]
mod tests {
    use std::{error::Error, fmt, io, iter};

    use super::{AnyError, MAX_SOURCES};
    use crate::codec;

    #[derive(Debug)]
    struct Layer(&'static str, Option<io::Error>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_ref().map(|source| source as _)
        }
    }

    fn layered() -> AnyError {
        Layer("no photo", Some(io::Error::other("disk on fire"))).into()
    }

    #[test]
    fn the_texts_of_the_sources_are_kept() {
        let error = layered();
        assert!(error.chain().eq(["no photo", "disk on fire"]));
        assert_eq!(error.to_string(), "no photo");
        assert_eq!(format!("{error:#}"), "no photo: disk on fire");
        assert_eq!(format!("{error:?}"), "no photo\ncaused by: disk on fire");
    }

    #[test]
    fn it_crosses() {
        let mut bytes = Vec::new();
        codec::encode(&layered(), &mut bytes).unwrap();
        let back: AnyError = codec::decode(&mut &*bytes).unwrap();
        assert_eq!(back, layered());
    }

    #[test]
    fn boxed_it_is_an_error_with_its_sources() {
        let boxed: Box<dyn Error + Send + Sync> = layered().into();
        assert_eq!(boxed.to_string(), "no photo");
        assert_eq!(boxed.source().unwrap().to_string(), "disk on fire");
        assert_eq!(format!("{boxed:?}"), format!("{:?}", layered()));

        let again = AnyError::from_dyn(&*boxed);
        assert_eq!(again, layered());
    }

    #[test]
    fn question_mark_works_in_and_out() {
        fn task(text: &str) -> Result<i32, AnyError> {
            Ok(text.parse()?)
        }
        fn caller(text: &str) -> Result<i32, Box<dyn Error>> {
            Ok(task(text)?)
        }
        assert_eq!(caller("7").unwrap(), 7);
        assert!(
            caller("x")
                .unwrap_err()
                .to_string()
                .contains("invalid digit")
        );
    }

    #[test]
    fn a_hostile_chain_is_cut() {
        let endless = AnyError {
            text: "a".into(),
            sources: vec!["b".into(); 1_000_000],
        };
        let boxed: Box<dyn Error + Send + Sync> = endless.into();
        let depth = iter::successors(boxed.source(), |&error| error.source()).count();
        assert_eq!(depth, MAX_SOURCES);
    }
}
