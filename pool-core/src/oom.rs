//! Processes that the kernel has killed for want of memory, as far as it tells.

use std::fs::read_to_string;

/// Counts them, for this process's control group where that is told, else for the machine.
#[derive(Debug, Default)]
pub(crate) struct OomKills {
    /// The file that tells.
    file: Option<String>,
    seen: u64,
}

impl OomKills {
    /// Counts from now on.
    pub(crate) fn begin(&mut self) {
        let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
        let files = groups.lines().filter_map(file_of_group);
        let machine = "/proc/vmstat".to_owned();
        self.file = files.chain([machine]).find(|file| told_by(file).is_some());
        self.are_more();
    }

    /// Whether there are more than when this was asked last.
    pub(crate) fn are_more(&mut self) -> bool {
        let now = self.file.as_deref().and_then(told_by).unwrap_or(self.seen);
        let before = std::mem::replace(&mut self.seen, now);
        now > before
    }
}

/// The file that tells of a group, by its line in `/proc/self/cgroup`: of the second version, or of the
/// first one's controller of memory.
fn file_of_group(line: &str) -> Option<String> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let path = path.trim_end_matches('/');
    match controllers {
        "" => Some(format!("/sys/fs/cgroup{path}/memory.events")),
        "memory" => Some(format!("/sys/fs/cgroup/memory{path}/memory.oom_control")),
        _ => None,
    }
}

/// How many a file tells of; of the machine's the name is the same.
fn told_by(file: &str) -> Option<u64> {
    let text = read_to_string(file).ok()?;
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_both_versions_have_a_file() {
        let file = |line| file_of_group(line);
        let second = "/sys/fs/cgroup/user/a/memory.events";
        assert_eq!(file("0::/user/a").as_deref(), Some(second));
        assert_eq!(
            file("0::/").as_deref(),
            Some("/sys/fs/cgroup/memory.events")
        );
        let first = "/sys/fs/cgroup/memory/a:b/memory.oom_control";
        assert_eq!(file("4:memory:/a:b").as_deref(), Some(first));
        assert_eq!(file("5:devices:/"), None);
        assert_eq!(file("nothing"), None);
    }

    #[test]
    fn kills_are_counted_from_the_beginning_on() {
        let mut kills = OomKills::default();
        assert!(!kills.are_more(), "nothing is known");
        let file = std::env::temp_dir().join(format!("oom-kills-{}", std::process::id()));
        let tell = |text: &str| std::fs::write(&file, text).unwrap();
        tell("oom 7\noom_kill 3\n");
        kills.file = file.to_str().map(str::to_owned);
        assert!(kills.are_more());
        assert!(!kills.are_more(), "they are told once");
        tell("oom 7\noom_kill 4\n");
        assert!(kills.are_more());
        tell("");
        assert!(!kills.are_more(), "and none are made up");
        std::fs::remove_file(&file).unwrap();
    }
}
