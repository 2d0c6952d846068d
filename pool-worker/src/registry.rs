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
    num::NonZeroU32,
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

/// A registered task of this image of the program: its place among the sorted names, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(NonZeroU32);

impl TaskId {
    /// The task whose name has this place.
    fn at(index: usize) -> Self {
        let number = u32::try_from(index + 1).ok().and_then(NonZeroU32::new);
        Self(number.expect("a program has fewer than 2^32 tasks"))
    }

    /// The place of the task's name in [`Registry::names`].
    #[inline]
    pub const fn index(self) -> usize {
        self.to_raw() as usize
    }

    /// The same as a number, as call frames carry it.
    #[inline]
    pub const fn to_raw(self) -> u32 {
        self.0.get() - 1
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
        let mut tasks = unique_names(entries.into_iter().collect());
        tasks.sort_by_key(|&(name, _)| name);
        let by_type = iter::zip(0.., &tasks)
            .map(|(index, (_, entry))| (entry.type_id(), TaskId::at(index)))
            .collect();
        let (names, entries) = tasks.into_iter().unzip();
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
        let listed = &self.names[..self.names.len().min(LISTED_NAMES)];
        let known = match self.names.len() - listed.len() {
            0 if listed.is_empty() => "no tasks are known".to_owned(),
            0 => format!("known tasks: {}", listed.join(", ")),
            more => format!("known tasks: {} and {more} more", listed.join(", ")),
        };
        format!(
            "no task '{name}' is registered in this program: mark the function #[task]; if it \
             is, and lives in a dependency that the program's source never names, the linker \
             left it out: name any path into that crate, or write `use that_crate as _;`; {known}"
        )
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

#[cfg(test)]
mod tests {
    use super::{LISTED_NAMES, Registry};
    use crate::task_entry::TaskEntry;

    /// Two functions of one path, on two lines.
    const NAMESAKES: [TaskEntry; 2] = {
        let first = {
            fn task() {}
            TaskEntry::new(task, |_, _| Ok(()))
        };
        let second = {
            fn task() {}
            TaskEntry::new(task, |_, _| Ok(()))
        };
        [first, second]
    };

    fn registry_of(entries: impl IntoIterator<Item = TaskEntry>) -> Registry {
        let leak = |entry| -> &'static TaskEntry { Box::leak(Box::new(entry)) };
        Registry::new(entries.into_iter().map(leak))
    }

    #[test]
    fn equal_given_names_are_an_error_with_both_places() {
        let [first, second] = NAMESAKES;
        let places = [first.place(), second.place()];
        let registry = registry_of([first.named("one"), second.named("one")]);
        let text = registry.check().unwrap_err().to_string();
        assert!(text.contains("'one'"), "{text}");
        for place in places {
            assert!(text.contains(&place.to_string()), "{text}");
        }
        let [first, second] = NAMESAKES;
        registry_of([first.named("one"), second.named("two")])
            .check()
            .unwrap();
    }

    #[test]
    fn equal_default_names_get_their_place() {
        let registry = registry_of(NAMESAKES);
        registry.check().unwrap();
        for entry in NAMESAKES {
            let name = format!("{}@{}", entry.name(), entry.place());
            assert_eq!(registry.by_name(&name).unwrap().type_id(), entry.type_id());
        }
        assert!(registry.by_name(NAMESAKES[0].name()).is_none());
    }

    #[test]
    fn equal_places_too_are_counted() {
        let [first, _] = NAMESAKES;
        let [again, _] = NAMESAKES;
        let registry = registry_of([first, again]);
        registry.check().unwrap();
        let [plain, counted] = registry.names() else {
            panic!("{registry:?}");
        };
        assert_eq!(*counted, format!("{plain}#2"));
    }

    #[test]
    fn a_default_name_gives_way_to_a_given_one() {
        let [first, second] = NAMESAKES;
        let taken = first.name();
        let registry = registry_of([first, second.named(taken)]);
        registry.check().unwrap();
        let holder = registry.by_name(taken).unwrap();
        assert_eq!(holder.explicit_name(), Some(taken));
    }

    #[test]
    fn the_list_of_known_names_is_bounded() {
        let registry = registry_of([]);
        assert!(registry.unknown_text("x").ends_with("no tasks are known"));
        let many = (0..LISTED_NAMES + 5).map(|number| {
            let [entry, _] = NAMESAKES;
            entry.named(format!("task {number:02}").leak())
        });
        let text = registry_of(many).unknown_text("x");
        assert!(text.contains("task 00, task 01"), "{text}");
        assert!(text.ends_with("task 19 and 5 more"), "{text}");
    }
}
