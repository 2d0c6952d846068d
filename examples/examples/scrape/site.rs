//! A web site on the loopback, so that `scrape` has pages of every fate to fetch.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

const PATHS: [&str; 5] = ["", "untitled", "missing", "endless", "silent"];

/// Serves the site as long as this process lives. Gives the addresses of its pages, and one that
/// nobody serves.
pub(crate) fn serve() -> io::Result<Vec<String>> {
    let site = TcpListener::bind("127.0.0.1:0")?;
    let address = site.local_addr()?;
    let unserved = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    thread::spawn(move || {
        for connection in site.incoming().flatten() {
            thread::spawn(move || answer(connection));
        }
    });

    let pages = PATHS.map(|path| format!("http://{address}/{path}"));
    Ok(pages
        .into_iter()
        .chain([format!("http://{unserved}/")])
        .collect())
}

/// Answers one request. The error is that of a visitor who has gone away.
fn answer(mut connection: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request)? > 0 {}

    let (status, page) = match request.split(' ').nth(1) {
        Some("/missing") => ("404 Not Found", "<title>No such page</title>"),
        Some("/untitled") => ("200 OK", "<p>A page without a title</p>"),
        _ => ("200 OK", "<title>A page with a title</title>"),
    };
    write!(
        connection,
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n{page}"
    )?;
    match request.split(' ').nth(1) {
        Some("/endless") => loop {
            connection.write_all(&[b' '; 4096])?;
        },
        Some("/silent") => reader.read(&mut [0]).map(drop),
        _ => Ok(()),
    }
}
