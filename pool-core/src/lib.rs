//! A process pool.
