//! What a watched command is told in place of what this machine would say.
//!
//! A command gets other results where it finds another number of processors, other random bytes or
//! another time of day. The kernel asks us before it answers, so that we can answer instead: as it
//! was when the command was recorded, or so that it is the same each time.

/// What is answered. By default nothing is: the machine speaks for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Answers {
    /// On how many processors a process is told that it may run.
    pub processors: Option<u32>,
    /// The seed of the random bytes that each process gets from the system. They are the same for
    /// the same seed and the same tree of processes, as long as the threads of a process draw in
    /// the same order. They are no secret: a key that is made of them is known to whoever has the
    /// record.
    pub entropy: Option<u64>,
    /// The time of day at which the first process starts, in seconds since 1970-01-01T00:00:00Z. It goes
    /// on by a microsecond each time that a process reads it, by more if it does so often, and by the
    /// time that it sleeps; it is passed on to children, and comes back from those that have ended.
    pub time: Option<i64>,
}

impl Answers {
    /// Whether nothing is answered.
    pub fn is_empty(&self) -> bool {
        *self == Answers::default()
    }
}
