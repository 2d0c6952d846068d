//! Runs every example as its users do, and checks what it prints and writes.

mod scrape;
mod sepia;
mod slides;
mod support;
mod thumbnails;
