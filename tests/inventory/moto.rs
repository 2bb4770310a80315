//! An AWS of one's own: `moto` as a server, and in front of it what moto lacks.
//!
//! ```text
//! keytrail, boto3, the aws command line ─► Front: pages, GetKeyLastUsage, refusals ─► moto
//! ```

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::http::{Answer, Request, Server};
use crate::support::python::python;

/// Serves until its standard input ends, which it does at the latest with the test.
const SERVE: &str = "\
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
print('%s:%s' % server.get_host_and_port(), flush=True)
sys.stdin.read()
";

/// Entries on a page, so that a handful of keys is several pages.
const PAGE: usize = 2;

/// A running moto.
pub struct Moto {
    python: PathBuf,
    child: Child,
    address: SocketAddr,
}

impl Moto {
    pub fn start() -> Option<Self> {
        let python = python("boto3, flask, flask_cors, moto.server")?;
        let mut child = Command::new(&python)
            .args(["-c", SERVE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().parse().unwrap();
        Some(Self { python, child, address })
    }

    /// Runs a script with boto3 against a front; what it prints is JSON.
    pub fn script(&self, front: &Front, script: &str) -> Value {
        let mut command = Command::new(&self.python);
        command.env_clear().envs(front.environment()).arg("-").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let ran = child.wait_with_output().unwrap();
        assert!(ran.status.success());
        serde_json::from_slice(&ran.stdout).unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What stands before moto.
pub struct Front {
    server: Server,
    /// The key that has been used.
    used: Arc<Mutex<String>>,
}

impl Front {
    /// One that refuses these operations.
    pub fn of(moto: &Moto, refused: &'static [&'static str]) -> Self {
        let used = Arc::new(Mutex::new(String::new()));
        let (address, used_key) = (moto.address, Arc::clone(&used));
        let server = Server::start(move |request| answer(request, address, refused, &used_key.lock().unwrap()));
        Self { server, used }
    }

    /// Has KMS tell of a use of this key, and of no other.
    pub fn use_of(&self, key_id: &str) {
        key_id.clone_into(&mut self.used.lock().unwrap());
    }

    /// How a client finds it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(self.server.url())
    }
}

/// How a client finds an AWS at this address, and nothing of the machine's own.
pub fn environment(url: String) -> Vec<(&'static str, String)> {
    let path = std::env::var("PATH").unwrap_or_default();
    [
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY".to_owned()),
        ("AWS_REGION", "eu-west-1".to_owned()),
        ("AWS_DEFAULT_REGION", "eu-west-1".to_owned()),
        ("AWS_CONFIG_FILE", "/nowhere".to_owned()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("PATH", path),
    ]
    .into()
}

fn answer(request: &Request, moto: SocketAddr, refused: &[&str], used: &str) -> Answer {
    let operation = request.operation.as_str();
    if refused.contains(&operation) {
        let message = format!("User: arn:aws:iam::123456789012:user/x is not authorized to perform: kms:{operation}");
        return Answer::json(400, &json!({"__type": "AccessDeniedException", "Message": message}));
    }
    match operation {
        "GetKeyLastUsage" => last_usage(request, used),
        "ListKeys" => page(request, moto, "Keys"),
        "ListAliases" => page(request, moto, "Aliases"),
        "ListGrants" => page(request, moto, "Grants"),
        "ListResourceTags" => page(request, moto, "Tags"),
        "DescribeKey" => described(request, moto),
        _ => request.pass_on(moto),
    }
}

/// What moto would answer with at once, in pages as KMS makes them.
fn page(request: &Request, moto: SocketAddr, list: &str) -> Answer {
    let mut parameters = request.parameters();
    let from = parameters["Marker"].as_str().map_or(0, |marker| marker.trim_start_matches('m').parse().unwrap());
    for taken in ["Marker", "Limit"] {
        parameters.as_object_mut().unwrap().remove(taken);
    }
    let whole = request.with(&parameters).pass_on(moto);
    if whole.status != 200 {
        return whole;
    }
    let mut answer = whole.value();
    let entries = answer[list].as_array().unwrap().clone();
    let to = entries.len().min(from + PAGE);
    answer[list] = entries[from..to].into();
    answer["Truncated"] = (to < entries.len()).into();
    if to < entries.len() {
        answer["NextMarker"] = format!("m{to}").into();
    }
    Answer::json(200, &answer)
}

/// moto says of AWS's own keys that the customer manages them, and of a key with a replica that it is one itself.
fn described(request: &Request, moto: SocketAddr) -> Answer {
    let answer = request.pass_on(moto);
    if answer.status != 200 {
        return answer;
    }
    let mut value = answer.value();
    let key = &mut value["KeyMetadata"];
    if key["Description"] == "Default key" {
        key["KeyManager"] = "AWS".into();
    }
    if key["MultiRegion"] == true {
        let is_primary = key["MultiRegionConfiguration"]["PrimaryKey"]["Arn"] == key["Arn"];
        key["MultiRegionConfiguration"]["MultiRegionKeyType"] = if is_primary { "PRIMARY" } else { "REPLICA" }.into();
    }
    Answer::json(200, &value)
}

fn last_usage(request: &Request, used: &str) -> Answer {
    let parameters = request.parameters();
    let is_used = parameters["KeyId"].as_str().unwrap().ends_with(used) && !used.is_empty();
    let usage = json!({"Operation": "Decrypt", "Timestamp": 1_785_000_000.25,
        "CloudTrailEventId": "a1b2c3d4-0000-1111-2222-333344445555", "KmsRequestId": "r"});
    Answer::json(
        200,
        &json!({"KeyId": parameters["KeyId"], "TrackingStartDate": 1_776_902_400,
            "KeyLastUsage": if is_used { usage } else { json!({}) }}),
    )
}
