//! A webhook's receiver in this process that answers as it is told to, one request after the other: it can refuse, break
//! off, and fall silent. It remembers what it was sent and whether it said that it took it.

use serde_json::Value;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use super::PATIENCE;

/// How a request fares.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It is answered with this status.
    Status(u16),
    /// Likewise, with a header.
    With(u16, &'static str),
    /// It is read, and nothing comes back for as long as the sender waits.
    Hang,
    /// The connection is closed.
    Close,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Value,
    /// What it was answered with; nothing when it was not.
    pub status: Option<u16>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Fingerprints of the findings in it.
    pub fn fingerprints(&self) -> Vec<String> {
        let findings = self.body["findings"].as_array().unwrap();
        findings.iter().map(|finding| finding["fingerprint"].as_str().unwrap().to_owned()).collect()
    }
}

#[derive(Default)]
struct State {
    script: VecDeque<Answer>,
    otherwise: Option<Answer>,
    received: Vec<Received>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The server; its thread ends with the process.
pub struct Receiver {
    port: u16,
    shared: Arc<Shared>,
}

impl Receiver {
    /// Answers by the script, and what comes after its end with 200.
    pub fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        shared.state.lock().unwrap().script = script.into_iter().collect();
        let state = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&state);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, shared }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/services/T0/s3cr3t-token", self.port)
    }

    /// From now on every request fares so.
    pub fn always(&self, answer: Answer) {
        let mut state = self.shared.state.lock().unwrap();
        state.script.clear();
        state.otherwise = Some(answer);
    }

    pub fn received(&self) -> Vec<Received> {
        self.shared.state.lock().unwrap().received.clone()
    }

    /// Waits until what was received is as it is to be.
    pub fn wait(&self, is_enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let state = self.shared.state.lock().unwrap();
        let waiting = |state: &mut State| !is_enough(&state.received);
        let (state, timeout) = self.shared.changed.wait_timeout_while(state, PATIENCE, waiting).unwrap();
        assert!(!timeout.timed_out(), "it never came; what came is {:#?}", state.received);
        state.received.clone()
    }

    /// Fingerprints of all that it took, in the order in which it took them.
    pub fn taken(&self) -> Vec<String> {
        taken(&self.received())
    }
}

/// Fingerprints of what was answered with 2xx.
pub fn taken(received: &[Received]) -> Vec<String> {
    let is_taken = |one: &&Received| one.status.is_some_and(|status| (200..300).contains(&status));
    received.iter().filter(is_taken).flat_map(Received::fingerprints).collect()
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    let Some(mut received) = read(&stream) else { return };
    let mut state = shared.state.lock().unwrap();
    let answer = state.script.pop_front().or(state.otherwise.clone()).unwrap_or(Answer::Status(200));
    let (status, header) = match answer {
        Answer::Status(status) => (Some(status), ""),
        Answer::With(status, header) => (Some(status), header),
        Answer::Hang | Answer::Close => (None, ""),
    };
    received.status = status;
    state.received.push(received);
    drop(state);
    if let Some(status) = status {
        let line = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
        // The sender may have given up; then it counts as taken all the same, since it was said to be.
        let _ = write!(stream, "HTTP/1.1 {status} Said\r\n{line}Content-Length: 0\r\nConnection: close\r\n\r\n");
    }
    shared.changed.notify_all();
    if matches!(answer, Answer::Hang) {
        // Until the sender hangs up.
        let _ = stream.read(&mut [0]);
    }
}

fn read(stream: &TcpStream) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0).map(|_| line.trim_end().to_owned())
    };
    let request = line()?;
    assert!(request.starts_with("POST "), "{request}");
    let path = request.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    while let Some((name, value)) = line()?.split_once(": ") {
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut received = Received { path, headers, body: Value::Null, status: None };
    let mut body = vec![0; received.header("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    received.body = serde_json::from_slice(&body).unwrap();
    Some(received)
}
