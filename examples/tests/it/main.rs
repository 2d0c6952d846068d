//! Runs every example as its users do, and checks what it prints and writes.

mod kill;
mod scrape;
mod sepia;
mod slides;
mod support;
mod thumbnails;
