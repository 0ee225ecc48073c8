//! A provider of messages whose every answer a test decides. It remembers what it got, by phone, and which
//! requests it may have acted on.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    time::Instant,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// The beginning of a sample customer's phone, and the number of all its digits: ids have fewer.
const PHONE: (&str, usize) = ("7000", 11);

/// The fate of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is taken, and the answer says so.
    Taken,
    /// It is not taken, and the answer says so.
    Refused,
    /// It may be taken: the answer leaves that open.
    Open,
}

/// The deed of the provider with one request.
pub struct Deed {
    fate: Fate,
    bytes: Vec<u8>,
    then: Then,
}

/// The end of an answer, after its bytes.
enum Then {
    /// The next request.
    Next,
    /// The end of the connection.
    HangUp,
    /// Nothing.
    Silence,
}

impl Deed {
    /// Takes it.
    pub fn taken(status: u16, body: &str) -> Self {
        Self::with(Fate::Taken, answer(status, body))
    }

    /// Does not take it, and says so.
    pub fn refused(status: u16, body: &str) -> Self {
        Self::with(Fate::Refused, answer(status, body))
    }

    /// Takes it, and answers something that says nothing.
    pub fn unclear(status: u16, body: &str) -> Self {
        Self::with(Fate::Open, answer(status, body))
    }

    /// Takes it, and hangs up in the middle of the answer.
    pub fn cut(status: u16, body: &str) -> Self {
        let mut bytes = answer(status, body);
        bytes.pop();
        Self {
            then: Then::HangUp,
            ..Self::with(Fate::Open, bytes)
        }
    }

    /// Takes it, and hangs up without an answer.
    pub fn hung_up() -> Self {
        Self {
            then: Then::HangUp,
            ..Self::with(Fate::Open, Vec::new())
        }
    }

    /// Takes it, and never answers.
    pub fn silent() -> Self {
        Self {
            then: Then::Silence,
            ..Self::hung_up()
        }
    }

    fn with(fate: Fate, bytes: Vec<u8>) -> Self {
        Self {
            fate,
            bytes,
            then: Then::Next,
        }
    }
}

fn answer(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// One request.
struct Request {
    phone: String,
    fate: Fate,
    came: Instant,
}

type Script = Box<dyn Fn(usize, &str) -> Deed + Send + Sync>;

/// A provider that listens.
pub struct Provider {
    pub address: String,
    got: Arc<Mutex<Vec<Request>>>,
    script: Arc<Mutex<Script>>,
}

impl Provider {
    /// One that deals with each request by a script: from its number, and all of its text.
    pub async fn start(script: impl Fn(usize, &str) -> Deed + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let this = Self {
            address: listener.local_addr().expect("an address").to_string(),
            got: Arc::default(),
            script: Arc::new(Mutex::new(Box::new(script))),
        };
        let (got, script) = (this.got.clone(), this.script.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, got.clone(), script.clone()));
            }
        });
        this
    }

    /// Deals with requests by another script from now on.
    pub fn follow(&self, script: impl Fn(usize, &str) -> Deed + Send + Sync + 'static) {
        *self.script.lock().expect("no panic") = Box::new(script);
    }

    /// The number of requests with a fate.
    pub fn count(&self, fate: Fate) -> u64 {
        let got = self.got.lock().expect("no panic");
        got.iter().filter(|request| request.fate == fate).count() as u64
    }

    /// The times at which requests of a fate came.
    pub fn times(&self, fate: Fate) -> Vec<Instant> {
        let got = self.got.lock().expect("no panic");
        let of_fate = got.iter().filter(|request| request.fate == fate);
        of_fate.map(|request| request.came).collect()
    }

    /// Phones that got a request after one that may have been taken.
    pub fn twice(&self) -> Vec<String> {
        let mut last = BTreeMap::new();
        let got = self.got.lock().expect("no panic");
        let again = got.iter().filter(|request| {
            let before = last.insert(&request.phone, request.fate);
            before.is_some_and(|before| before != Fate::Refused)
        });
        again.map(|request| request.phone.clone()).collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    got: Arc<Mutex<Vec<Request>>>,
    script: Arc<Mutex<Script>>,
) -> io::Result<()> {
    while let Some(request) = read(&mut stream).await? {
        let deed = {
            let mut got = got.lock().expect("no panic");
            let deed = script.lock().expect("no panic")(got.len(), &request);
            got.push(Request {
                phone: phone(&request),
                fate: deed.fate,
                came: Instant::now(),
            });
            deed
        };
        stream.write_all(&deed.bytes).await?;
        match deed.then {
            Then::Next => {}
            Then::HangUp => return Ok(()),
            Then::Silence => std::future::pending().await,
        }
    }
    Ok(())
}

/// Reads a request as a text; none at the end of the stream.
async fn read(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, _)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
        if bytes.len() >= head.len() + 4 + length {
            return Ok(Some(text.into_owned()));
        }
    }
}

/// The phone of a sample customer that a request is for.
fn phone(request: &str) -> String {
    let (start, digits) = PHONE;
    let mut numbers = request.split(|c: char| !c.is_ascii_digit());
    let is_phone = |number: &&str| number.starts_with(start) && number.len() == digits;
    numbers
        .find(is_phone)
        .expect("a sample customer's phone")
        .to_owned()
}
