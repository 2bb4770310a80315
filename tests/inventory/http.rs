//! A small HTTP server for tests that stand in for AWS: one function answers every request. It speaks as much HTTP as an
//! AWS client needs, and passes a request on to another server if asked to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::Value;

/// A request to an AWS service.
#[derive(Debug, Clone)]
pub struct Request {
    /// Service and Region as it was signed for.
    pub service: String,
    pub region: String,
    /// The access key that it was signed with; empty when it was not.
    pub access_key: String,
    /// The API operation.
    pub operation: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub kind: &'static str,
    pub body: Vec<u8>,
}

impl Answer {
    /// One in the JSON protocol.
    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, kind: "application/x-amz-json-1.1", body: body.to_string().into_bytes() }
    }

    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Request {
    fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => headers.push(line.to_owned()),
            }
        }
        let length = header(&headers, "content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let scope = header(&headers, "authorization").unwrap_or_default();
        // Credential=<key>/<day>/<Region>/<service>/aws4_request
        let access_key = scope.split_once("Credential=").and_then(|(_, scope)| scope.split('/').next());
        let access_key = access_key.unwrap_or_default().to_owned();
        let mut scope = scope.split('/').skip(2).map(str::to_owned);
        let (region, service) = (scope.next().unwrap_or_default(), scope.next().unwrap_or_default());
        let target = header(&headers, "x-amz-target");
        let text = String::from_utf8_lossy(&body).into_owned();
        let action = || text.split('&').find_map(|pair| pair.strip_prefix("Action=").map(str::to_owned));
        let operation = target.and_then(|target| target.split('.').next_back().map(str::to_owned)).or_else(action);
        Some(Self { service, region, access_key, operation: operation.unwrap_or_default(), headers, body })
    }

    /// The parameters, of a request in the JSON protocol.
    pub fn parameters(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The same request with other parameters.
    pub fn with(&self, parameters: &Value) -> Self {
        Self { body: parameters.to_string().into_bytes(), ..self.clone() }
    }

    /// Has another server answer.
    pub fn pass_on(&self, to: SocketAddr) -> Answer {
        let mut stream = TcpStream::connect(to).unwrap();
        let kept = self.headers.iter().filter(|line| {
            let line = line.to_ascii_lowercase();
            !line.starts_with("content-length:") && !line.starts_with("connection:")
        });
        let head = kept.fold(String::new(), |head, line| head + line + "\r\n");
        let head = format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n", self.body.len());
        stream.write_all(&[head.as_bytes(), &self.body].concat()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        while line.trim_end() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        let mut body = Vec::new();
        reader.read_to_end(&mut body).unwrap();
        let kind = if body.starts_with(b"<") { "text/xml" } else { "application/x-amz-json-1.1" };
        Answer { status, kind, body }
    }
}

fn header(headers: &[String], name: &str) -> Option<String> {
    let value = |line: &String| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    };
    headers.iter().find_map(value)
}

/// A server that runs until it is dropped.
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, answer) = (Arc::new(AtomicBool::new(false)), Arc::new(answer));
        let stopped = Arc::clone(&stop);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (stream, answer) = (stream.unwrap(), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, answer.as_ref()));
            }
        });
        Self { address, stop, accepting: Some(accepting) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Whoever waits for a connection gets one, and sees that it is over.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Answers one client until it hangs up.
fn serve(stream: TcpStream, answer: &dyn Fn(&Request) -> Answer) {
    let mut out = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader) {
        let Answer { status, kind, body } = answer(&request);
        let length = body.len();
        // In one piece: the second of two small ones would wait for the client to acknowledge the first.
        let mut bytes =
            format!("HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n").into_bytes();
        bytes.extend(body);
        if out.write_all(&bytes).is_err() {
            return;
        }
    }
}
