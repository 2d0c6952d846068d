//! Calls of which more is asked than to be run: what that is, and how they have gone. They are few, so
//! that lies beside the slots.

use super::{CallId, Calls};
use crate::terms::{Alarms, Course, Deadline, Terms};

impl Calls {
    /// Notes what was asked for a call of which nothing was.
    #[inline]
    pub(crate) fn set_terms(&mut self, id: CallId, terms: &Terms) {
        if !terms.is_plain() {
            self.set_course(id, Course::new(*terms));
        }
    }

    /// Has a call done by then, if it is not.
    pub(crate) fn set_deadline(&mut self, id: CallId, deadline: Option<Deadline>) {
        if let Some((course, alarms)) = self.course(id) {
            course.terms.deadline = deadline;
            alarms.add_deadline(course.deadline());
        } else if !self.get(id).is_done() {
            let terms = Terms {
                deadline,
                ..Terms::default()
            };
            self.set_terms(id, &terms);
        }
    }

    fn set_course(&mut self, id: CallId, course: Course) {
        self.alarms.add_deadline(course.deadline());
        self.ranked += usize::from(course.terms.priority != 0);
        self.courses.insert(id, course);
        self.get_mut(id).has_course = true;
    }

    /// Whether calls that are not done have priorities of their own.
    #[inline]
    pub(crate) fn are_ranked(&self) -> bool {
        self.ranked > 0
    }

    /// What was asked for a call that is not done, if anything was.
    #[inline]
    pub(crate) fn course(&mut self, id: CallId) -> Option<(&mut Course, &mut Alarms)> {
        if !self.get(id).has_course {
            return None;
        }
        Some((self.courses.get_mut(&id)?, &mut self.alarms))
    }

    /// Takes out what was asked for a call that is about to be done.
    #[inline]
    pub(super) fn take_course(&mut self, id: CallId) -> Option<Course> {
        if !self.get(id).has_course {
            return None;
        }
        self.get_mut(id).has_course = false;
        let course = self.courses.remove(&id)?;
        self.ranked -= usize::from(course.terms.priority != 0);
        Some(course)
    }
}
