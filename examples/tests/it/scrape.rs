use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

use crate::support::{example, finish, lines_of};

#[test]
fn each_page_has_its_own_fate() {
    let lines = lines_of("scrape");
    let expected = [
        "/: A page with a title",
        "/untitled: No title found",
        "/missing failed: ",
        "/endless failed: ",
        "/silent failed: ",
        "/ failed: ",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with("http://127.0.0.1:"), "{lines:?}");
        assert!(line.contains(expected), "{lines:?}");
    }
}

#[test]
fn a_title_is_read_as_a_browser_shows_it() {
    let site = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", site.local_addr().expect("a bound port"));
    let server = thread::spawn(move || {
        let (mut visitor, _) = site.accept().expect("a visitor");
        let request = BufReader::new(visitor.try_clone().expect("a connection")).lines();
        request
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .for_each(drop);
        let page = b"<title>\n  Fish &amp; chips, caf\xc3\xa9\n  \xff</title>";
        write!(
            visitor,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            page.len()
        )
        .and_then(|()| visitor.write_all(page))
        .expect("a visitor who reads");
    });

    let finished = finish(example("scrape").args([&url, "no address"]));
    server.join().expect("one page was served");
    assert!(finished.succeeded, "{finished:?}");
    let lines: Vec<_> = finished.stdout.lines().collect();
    assert_eq!(lines[0], format!("{url}: Fish & chips, café \u{fffd}"));
    assert!(lines[1].starts_with("no address failed: "), "{lines:?}");
}
