//! All tasks of this image of the program: found by the type of a function, or by name.
//!
//! Tasks register themselves before `main`, each by a constructor. The registry is built at its
//! first use, so nothing may use it while constructors still run: a task registered later would be
//! missing for ever.

use std::{
    any::TypeId,
    collections::HashMap,
    error::Error,
    fmt,
    hash::{BuildHasherDefault, Hasher},
    iter,
    panic::Location,
    sync::OnceLock,
};

use crate::task_entry::TaskEntry;

/// How many of the known names an error text lists.
const LISTED_NAMES: usize = 20;

/// The tasks of this program.
pub fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| Registry::new(inventory::iter::<TaskEntry>))
}

/// A registered task of this image of the program: its place among the sorted names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(u32);

impl TaskId {
    /// The place of the task's name in [`Registry::names`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The same as a number, as call frames carry it.
    pub const fn to_raw(self) -> u32 {
        self.0
    }
}

/// All tasks, each under a name of its own.
pub struct Registry {
    /// Sorted, and without equals but for explicit names, which [`Registry::check`] finds.
    names: Vec<&'static str>,
    /// In the order of `names`.
    entries: Vec<&'static TaskEntry>,
    by_type: HashMap<TypeId, TaskId, BuildHasherDefault<TypeIdHasher>>,
}

impl Registry {
    /// The registry of `entries`, whose made-up names are kept for the rest of the program.
    fn new(entries: impl IntoIterator<Item = &'static TaskEntry>) -> Self {
        let mut named = unique_names(entries.into_iter().collect());
        named.sort_by_key(|&(name, _)| name);
        let by_type = iter::zip(0.., &named)
            .map(|(id, (_, entry))| (entry.type_id(), TaskId(id)))
            .collect();
        let (names, entries) = named.into_iter().unzip();
        Self {
            names,
            entries,
            by_type,
        }
    }

    /// The task of the function item of that type.
    pub fn lookup(&self, function: TypeId) -> Option<TaskId> {
        self.by_type.get(&function).copied()
    }

    /// The task of that name.
    pub fn by_name(&self, name: &str) -> Option<&'static TaskEntry> {
        let index = self.names.binary_search(&name).ok()?;
        Some(self.entries[index])
    }

    /// The task of that number.
    pub fn entry(&self, id: TaskId) -> &'static TaskEntry {
        self.entries[id.index()]
    }

    /// The task's name, which no other has.
    pub fn name(&self, id: TaskId) -> &'static str {
        self.names[id.index()]
    }

    /// All names, sorted.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// Refuses two tasks to which the program gave one name.
    pub fn check(&self) -> Result<(), DuplicateName> {
        let twice = self.names.windows(2).position(|pair| pair[0] == pair[1]);
        match twice {
            None => Ok(()),
            Some(index) => Err(DuplicateName {
                name: self.names[index],
                places: [index, index + 1].map(|index| self.entries[index].place()),
            }),
        }
    }

    /// What to tell somebody who asks for a task `name` that is not here: the names that are, and
    /// the remedies.
    pub fn unknown_text(&self, name: &str) -> String {
        let mut text = format!(
            "no task '{name}' is registered in this program: mark the function #[task]; if it \
             is, and lives in a dependency that the program's source never names, the linker \
             left it out: name any path into that crate, or write `use that_crate as _;`; "
        );
        match self.names.len() {
            0 => text.push_str("no tasks are known"),
            known => {
                let listed = &self.names[..known.min(LISTED_NAMES)];
                text.push_str("known tasks: ");
                text.push_str(&listed.join(", "));
                if known > listed.len() {
                    text += &format!(" and {} more", known - listed.len());
                }
            }
        }
        text
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.entries).finish()
    }
}

/// Pairs each entry with a name that is its own: the one given, else the function's.
///
/// Functions in different blocks, and those of two versions of a crate, have one name; it gets the
/// function's place. One macro call may mark several functions at one place; these are counted, in
/// the order of registration, which is that of the linker and so the same in each process.
fn unique_names(entries: Vec<&'static TaskEntry>) -> Vec<(&'static str, &'static TaskEntry)> {
    let mut users: HashMap<&str, usize> = HashMap::new();
    for entry in &entries {
        *users.entry(entry.name()).or_default() += 1;
    }
    let mut at_place: HashMap<String, usize> = HashMap::new();
    let mut own_name = |entry: &TaskEntry| {
        if entry.explicit_name().is_some() || users[entry.name()] == 1 {
            return entry.name();
        }
        let mut name = format!("{}@{}", entry.name(), entry.place());
        let marked = at_place.entry(name.clone()).or_default();
        *marked += 1;
        if *marked > 1 {
            name = format!("{name}#{marked}");
        }
        name.leak()
    };
    entries
        .into_iter()
        .map(|entry| (own_name(entry), entry))
        .collect()
}

/// Two tasks have been given one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateName {
    name: &'static str,
    places: [&'static Location<'static>; 2],
}

impl fmt::Display for DuplicateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.places;
        write!(
            f,
            "two tasks are named '{}', at {first} and at {second}: give one of them another name \
             with #[task(name = \"...\")]",
            self.name
        )
    }
}

impl Error for DuplicateName {}

/// Hashes a [`TypeId`], which is a hash already, to itself.
#[derive(Default)]
struct TypeIdHasher(u64);

impl Hasher for TypeIdHasher {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
