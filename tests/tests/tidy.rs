//! Rules of the repository that neither the compiler nor clippy knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a file, its tests aside.
const MAX_LINES: usize = 400;

/// The root of the repository.
fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("this package lies in the workspace")
}

/// A file of Rust's, by its path from the root.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Whether nothing but tests see it.
    fn is_test(&self) -> bool {
        self.path.split('/').any(|part| {
            let part = part.trim_end_matches(".rs");
            ["tests", "fixture", "plugin"].contains(&part)
        })
    }

    /// Whether it is there to be refused by the compiler.
    fn is_case(&self) -> bool {
        self.path.contains("/ui/")
    }

    /// Its lines and their numbers, up to the tests that stand at its end, comments left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.before_tests()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    fn before_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..)
            .zip(self.text.lines())
            .take_while(|(_, line)| !line.starts_with("mod tests {"))
    }
}

/// All files of Rust's in the repository.
fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("an entry of a folder").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(source(&path));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.len() > 50, "the files are looked for elsewhere");
    sources
}

fn source(path: &PathBuf) -> Source {
    let relative = path.strip_prefix(root()).expect("a path below the root");
    Source {
        path: relative.to_string_lossy().into_owned(),
        text: read(path),
    }
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The value of `key = "value"` in the workspace's manifest.
fn manifest(key: &str) -> String {
    let manifest = read("Cargo.toml");
    let value = manifest
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))
        .unwrap_or_else(|| panic!("no {key} in Cargo.toml"));
    value.trim_matches('"').to_owned()
}

/// The layers of `pool-core`, as the paragraphs of `lib.rs` list their modules: highest first.
fn layers() -> Vec<Vec<String>> {
    let module = |line: &str| Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned());
    let layers: Vec<Vec<_>> = read("pool-core/src/lib.rs")
        .split("\n\n")
        .map(|paragraph| paragraph.lines().filter_map(module).collect())
        .filter(|layer: &Vec<_>| !layer.is_empty())
        .collect();
    assert!(layers.len() > 3, "lib.rs lists the layers: {layers:?}");
    layers
}

/// Which module of `pool-core` uses which.
fn arrows() -> BTreeSet<(String, String)> {
    let modules = layers().concat();
    let mut arrows = BTreeSet::new();
    for source in sources() {
        let Some(path) = source.path.strip_prefix("pool-core/src/") else {
            continue;
        };
        let module = path.split(['/', '.']).next().unwrap_or_default().to_owned();
        if source.is_test() || !modules.contains(&module) {
            continue;
        }
        for (_, line) in source.code() {
            let others =
                named(line).filter(|other| *other != module && modules.iter().any(|m| m == other));
            arrows.extend(others.map(|other| (module.clone(), other.to_owned())));
        }
    }
    arrows
}

/// Whether a way leads along `arrows` from one module to another.
fn leads(arrows: &BTreeSet<(String, String)>, from: &str, to: &str) -> bool {
    let mut reached = BTreeSet::from([from]);
    loop {
        let before = reached.len();
        for (a, b) in arrows {
            if reached.contains(a.as_str()) {
                reached.insert(b);
            }
        }
        if reached.contains(to) || reached.len() == before {
            return reached.contains(to);
        }
    }
}

/// The modules that a line names by `crate::module`.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|char: char| !char.is_ascii_lowercase() && char != '_');
        &rest[..end.unwrap_or(rest.len())]
    })
}

#[test]
fn modules_use_no_higher_layer() {
    let layers = layers();
    let height = |module: &String| layers.iter().position(|layer| layer.contains(module));
    for (module, used) in arrows() {
        assert!(
            height(&module) <= height(&used),
            "{module} uses {used}, which lib.rs lists in a higher layer"
        );
    }
}

#[test]
fn modules_use_each_other_in_no_circle() {
    let arrows = arrows();
    let circles: Vec<_> = arrows
        .iter()
        .filter(|(module, used)| module < used && leads(&arrows, used, module))
        .map(|(module, used)| (module.as_str(), used.as_str()))
        .collect();
    assert!(circles.is_empty(), "they use each other: {circles:?}");
}

#[test]
fn files_fit_a_sitting() {
    let sources = sources();
    let long: Vec<_> = sources
        .iter()
        .filter(|source| !source.is_test() && source.before_tests().count() > MAX_LINES)
        .map(|source| &source.path)
        .collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines: {long:?}");
}

#[test]
fn unsafe_code_is_fenced_in_and_says_why_it_is_sound() {
    let fenced = ["/sys.rs", "/sys/", "/channel/"];
    let forms = [" {", " fn", " impl", " extern", "("].map(|rest| format!("unsafe{rest}"));
    for source in sources().iter().filter(|source| !source.is_case()) {
        let lines: Vec<_> = source.text.lines().collect();
        for (number, line) in source.code() {
            let found = forms.iter().any(|form| line.contains(form));
            if !found {
                continue;
            }
            let place = format!("{}:{number}", source.path);
            assert!(
                source.is_test() || fenced.iter().any(|fence| source.path.contains(fence)),
                "{place}: unsafe code stands in `sys` modules and in `channel`"
            );
            let reason = lines[..number - 1]
                .iter()
                .rev()
                .take_while(|line| !line.trim().is_empty())
                .any(|line| line.contains("SAFETY: ") || line.contains("# Safety"));
            assert!(reason, "{place}: it needs a comment SAFETY: above it");
        }
    }
    assert!(read("pool-macros/src/lib.rs").contains("\n#![forbid(unsafe_code)]\n"));
}

#[test]
fn lints_are_expected_not_allowed_and_nothing_is_put_off() {
    let unfinished = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    for source in sources().iter().filter(|source| !source.is_case()) {
        // What the macro makes stands in the users' code, where a lint may not be raised.
        let generates = source.path == "pool-macros/src/expand.rs";
        for (number, line) in (1..).zip(source.text.lines()) {
            let place = format!("{}:{number}", source.path);
            for word in unfinished {
                assert!(!line.contains(word), "{place}: {word}");
            }
            let allows = ["#[allow(", "#![allow("]
                .iter()
                .any(|form| line.trim_start().starts_with(form));
            assert!(
                !allows || generates,
                "{place}: write #[expect(lint, reason = \"...\")]"
            );
        }
    }
}

#[test]
fn documents_name_the_versions_of_the_manifest() {
    let version = manifest("version");
    let changelog = read("CHANGELOG.md");
    let newest = changelog.lines().find(|line| line.starts_with("## "));
    assert!(
        newest.is_some_and(|line| line.starts_with(&format!("## {version}"))),
        "CHANGELOG.md begins with {version}, not {newest:?}"
    );
    let rust = format!("Rust {}", manifest("rust-version"));
    assert!(
        read("README.md").contains(&rust),
        "README.md asks for {rust}"
    );
}

/// The tests that the tables of `tests/README.md` name, each with its file.
fn tests_in_tables(document: &str) -> Vec<(&str, &str)> {
    let mut tests = Vec::new();
    for row in document.lines().filter(|line| line.starts_with("| ")) {
        let Some(covered) = row.split(" | ").nth(1) else {
            continue;
        };
        // A file between marks, then names.
        let mut parts = covered.split('`').skip(1);
        while let (Some(file), Some(names)) = (parts.next(), parts.next()) {
            let names = names.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
            let is_name = |name: &&str| name.contains('_');
            tests.extend(names.filter(is_name).map(|name| (file, name)));
        }
    }
    tests
}

#[test]
fn tables_name_tests_that_are_there() {
    let document = read("tests/README.md");
    let named = tests_in_tables(&document);
    assert!(
        named.len() > 200,
        "the tables are read otherwise: {}",
        named.len()
    );
    let missing: Vec<_> = named
        .into_iter()
        .filter(|(file, name)| {
            let file = ["tests/tests/", file, ".rs"].concat();
            let function = format!("fn {name}(");
            let parts = fs::read_dir(root().join(file.trim_end_matches(".rs")));
            let parts = parts
                .into_iter()
                .flatten()
                .flatten()
                .map(|part| part.path());
            let files = [&*file, "tests/src/suite.rs"].map(|file| root().join(file));
            let is_there = |path: PathBuf| {
                let text = fs::read_to_string(path).unwrap_or_default();
                text.contains(&function)
            };
            !files.into_iter().chain(parts).any(is_there)
        })
        .collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:?}");
}

/// Whether there is more to it than names, which stand between marks or have marks of their own.
fn has_words(covered: &str) -> bool {
    let between = covered.split('`').step_by(2);
    let is_word = |word: &str| !word.contains('_') && word.contains(char::is_alphabetic);
    between.flat_map(str::split_whitespace).any(is_word)
}

#[test]
fn every_fault_of_the_catalogue_is_listed_with_its_tests() {
    let document = read("tests/README.md");
    let section = document
        .split("\n## ")
        .find(|part| part.starts_with("Faults"));
    let rows: Vec<(usize, &str)> = section
        .expect("a section on faults")
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .filter_map(|(number, row)| Some((number.parse().ok()?, row)))
        .collect();
    let numbers: Vec<usize> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=74).collect::<Vec<_>>());
    for (number, row) in &rows {
        let (_, covered) = row.split_once(" | ").expect("a second column");
        assert!(
            covered.contains(&format!("f{number:02}_")) || has_words(covered),
            "{number} has neither a test of its own nor a reason: {covered}"
        );
    }
    for source in sources().iter().filter(|source| source.is_test()) {
        // Names like f07_what_happens.
        for named in source.text.split("fn f").skip(1) {
            let name = named.split('(').next().unwrap_or_default();
            let Some(Ok(number)) = name.split('_').next().map(str::parse::<usize>) else {
                continue;
            };
            let row = rows.iter().find(|(row, _)| *row == number);
            let listed = row.is_some_and(|(_, row)| row.contains(&format!("f{name}")));
            assert!(listed, "{}: f{name} is not in its row", source.path);
        }
    }
}

#[test]
fn f71_processes_are_signalled_by_their_descriptors() {
    // Their numbers may be those of others by then, unless they are children that were not reaped.
    let exempt = ["pool-worker/src/sys/process.rs", "tests/"];
    for source in sources().iter().filter(|source| !source.is_test()) {
        let by_number = source.code().any(|(_, line)| line.contains("libc::kill("));
        let is_exempt = exempt.iter().any(|path| source.path.starts_with(path));
        assert!(!by_number || is_exempt, "{}", source.path);
    }
    let process = read(exempt[0]);
    assert_eq!(process.matches("libc::kill(").count(), 1, "that of a child");
}

#[test]
fn f63_no_clock_is_read_that_can_be_set() {
    for source in sources() {
        let is_ours = ["pool-core/src", "pool-worker/src"];
        if !is_ours.iter().any(|path| source.path.starts_with(path)) {
            continue;
        }
        for clock in ["SystemTime", "CLOCK_REALTIME", "gettimeofday"] {
            // The number of a system call, of which there is a list, is no call.
            let is_read = |line: &str| line.contains(clock) && !line.contains("libc::SYS_");
            let read = source.code().any(|(_, line)| is_read(line));
            assert!(!read, "{} reads {clock}", source.path);
        }
    }
}
