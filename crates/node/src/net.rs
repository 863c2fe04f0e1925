//! Sockets, and HTTP over them.
//!
//! What a process holds is a handle: a number that nobody can guess, so that a handle that was not given is no handle. It belongs to one process and
//! is closed when that ends.

use crate::ids::ProcessId;
use crate::system::{HttpRequest, HttpResponse, Plain, Trouble};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as Turn, Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;

/// Requests of a server that wait to be accepted; further connections wait in the operating system.
const WAITING_MAX: usize = 1024;
/// Bytes of the content of a request or response.
const BODY_BYTES_MAX: usize = 1 << 24;
/// Bytes read at once.
const READ_BYTES_MAX: usize = 1 << 20;

/// What handles stand for.
#[derive(Debug)]
enum Held {
    Listener(Arc<TcpListener>),
    Stream(Arc<Stream>),
    Server(Arc<Server>),
    /// A request that is to be answered.
    Request(oneshot::Sender<HttpResponse>),
}

#[derive(Debug)]
struct Stream {
    /// The reading half, and the start of a character whose end has not arrived.
    read: Turn<(OwnedReadHalf, Vec<u8>)>,
    write: Turn<OwnedWriteHalf>,
}

#[derive(Debug)]
struct Server {
    address: String,
    requests: Turn<mpsc::Receiver<(HttpRequest, oneshot::Sender<HttpResponse>)>>,
    accepting: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// All that processes hold.
#[derive(Default, Debug)]
pub(crate) struct Handles {
    keys: RandomState,
    table: Mutex<Table>,
}

#[derive(Default, Debug)]
struct Table {
    count: u64,
    held: HashMap<i64, Handle>,
    owned: HashMap<ProcessId, Vec<i64>>,
}

#[derive(Debug)]
struct Handle {
    owner: ProcessId,
    held: Held,
    /// Has no permits, and is closed with the handle: whoever waits for one learns of that.
    open: Arc<Semaphore>,
}

type Outcome = Result<Plain, Trouble>;

fn failed(error: impl std::fmt::Display) -> Trouble {
    Trouble::Failed(error.to_string())
}

fn no_handle() -> Trouble {
    Trouble::Failed("this is no handle, or it is closed".to_owned())
}

impl Handles {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, owner: ProcessId, what: Held) -> i64 {
        let mut table = self.lock();
        table.count += 1;
        let handle = (self.keys.hash_one(table.count) >> 2) as i64;
        table.held.insert(handle, Handle { owner, held: what, open: Arc::new(Semaphore::new(0)) });
        table.owned.entry(owner).or_default().push(handle);
        handle
    }

    fn take(&self, handle: i64) -> Option<Handle> {
        let mut table = self.lock();
        let taken = table.held.remove(&handle)?;
        if let Some(owned) = table.owned.get_mut(&taken.owner) {
            owned.retain(|other| *other != handle);
            if owned.is_empty() {
                table.owned.remove(&taken.owner);
            }
        }
        Some(taken)
    }

    fn look<T>(&self, handle: i64, what: impl Fn(&Held) -> Option<T>) -> Result<T, Trouble> {
        self.lock().held.get(&handle).and_then(|found| what(&found.held)).ok_or_else(no_handle)
    }

    fn stream(&self, handle: i64) -> Result<Arc<Stream>, Trouble> {
        self.look(handle, |held| if let Held::Stream(stream) = held { Some(stream.clone()) } else { None })
    }

    /// Closes what a process holds.
    pub(crate) fn close_all(&self, owner: ProcessId) {
        let owned = self.lock().owned.remove(&owner).unwrap_or_default();
        for handle in owned {
            let taken = self.lock().held.remove(&handle);
            taken.inspect(|handle| handle.open.close());
        }
    }

    pub(crate) fn close(&self, handle: i64) {
        self.take(handle).inspect(|handle| handle.open.close());
    }

    /// Waits for something that a handle is used for; a failure as soon as it is closed.
    pub(crate) async fn while_open(&self, handle: i64, work: impl Future<Output = Outcome>) -> Outcome {
        let open = self.lock().held.get(&handle).map(|handle| handle.open.clone()).ok_or_else(no_handle)?;
        tokio::select! {
            outcome = work => outcome,
            _ = open.acquire() => Err(no_handle()),
        }
    }

    pub(crate) fn give(&self, handle: i64, to: ProcessId) -> Outcome {
        let taken = self.take(handle).ok_or_else(no_handle)?;
        let mut table = self.lock();
        table.held.insert(handle, Handle { owner: to, ..taken });
        table.owned.entry(to).or_default().push(handle);
        Ok(Plain::Unit)
    }

    pub(crate) fn address(&self, handle: i64) -> Outcome {
        let found = self.look(handle, |held| match held {
            Held::Listener(listener) => listener.local_addr().ok().map(|address| address.to_string()),
            Held::Server(server) => Some(server.address.clone()),
            Held::Stream(_) | Held::Request(_) => None,
        });
        found.map(Plain::Text)
    }

    // ---- TCP

    pub(crate) async fn listen(&self, owner: ProcessId, address: &str) -> Outcome {
        let listener = TcpListener::bind(address).await.map_err(|error| Trouble::of(address, &error))?;
        Ok(Plain::Handle(self.hold(owner, Held::Listener(Arc::new(listener)))))
    }

    fn hold_stream(&self, owner: ProcessId, stream: TcpStream) -> Plain {
        let _ = stream.set_nodelay(true);
        let (read, write) = stream.into_split();
        let stream = Stream { read: Turn::new((read, Vec::new())), write: Turn::new(write) };
        Plain::Handle(self.hold(owner, Held::Stream(Arc::new(stream))))
    }

    pub(crate) async fn accept(&self, owner: ProcessId, handle: i64) -> Outcome {
        let found = |held: &Held| if let Held::Listener(found) = held { Some(found.clone()) } else { None };
        let (stream, _) = self.look(handle, found)?.accept().await.map_err(failed)?;
        Ok(self.hold_stream(owner, stream))
    }

    pub(crate) async fn connect(&self, owner: ProcessId, address: &str) -> Outcome {
        let stream = TcpStream::connect(address).await.map_err(|error| Trouble::of(address, &error))?;
        Ok(self.hold_stream(owner, stream))
    }

    /// What arrives next, as text; `""` at the end. A character whose bytes arrive in two parts is kept until it is whole.
    pub(crate) async fn read(&self, handle: i64, most: usize) -> Outcome {
        let stream = self.stream(handle)?;
        let mut turn = stream.read.lock().await;
        let (half, kept) = &mut *turn;
        let mut bytes = std::mem::take(kept);
        loop {
            let room = most.clamp(4, READ_BYTES_MAX);
            let start = bytes.len();
            bytes.resize(start + room, 0);
            let count = half.read(&mut bytes[start..]).await.map_err(failed)?;
            bytes.truncate(start + count);
            let end = match std::str::from_utf8(&bytes) {
                Ok(_) => bytes.len(),
                Err(error) if count > 0 && error.error_len().is_none() => error.valid_up_to(),
                Err(_) => bytes.len(),
            };
            if end > 0 || count == 0 {
                *kept = bytes.split_off(end);
                return Ok(Plain::Text(String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }

    pub(crate) async fn write(&self, handle: i64, text: &str) -> Outcome {
        let stream = self.stream(handle)?;
        stream.write.lock().await.write_all(text.as_bytes()).await.map_err(failed)?;
        Ok(Plain::Unit)
    }

    // ---- HTTP

    pub(crate) async fn serve(&self, owner: ProcessId, address: &str) -> Outcome {
        let listener = TcpListener::bind(address).await.map_err(|error| Trouble::of(address, &error))?;
        let address = listener.local_addr().map_err(failed)?.to_string();
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let accepting = tokio::spawn(accept_connections(listener, sender)).abort_handle();
        let server = Server { address, requests: Turn::new(receiver), accepting };
        Ok(Plain::Handle(self.hold(owner, Held::Server(Arc::new(server)))))
    }

    fn server(&self, handle: i64) -> Result<Arc<Server>, Trouble> {
        self.look(handle, |held| if let Held::Server(server) = held { Some(server.clone()) } else { None })
    }

    fn hold_request(&self, owner: ProcessId, asked: (HttpRequest, oneshot::Sender<HttpResponse>)) -> Plain {
        let (mut request, reply) = asked;
        request.handle = self.hold(owner, Held::Request(reply));
        Plain::Request(request)
    }

    /// The next request, if one is there already.
    pub(crate) fn next_request_now(&self, owner: ProcessId, handle: i64) -> Option<Plain> {
        let server = self.server(handle).ok()?;
        let asked = server.requests.try_lock().ok()?.try_recv().ok()?;
        Some(self.hold_request(owner, asked))
    }

    pub(crate) async fn next_request(&self, owner: ProcessId, handle: i64) -> Outcome {
        let server = self.server(handle)?;
        let asked = server.requests.lock().await.recv().await.ok_or_else(no_handle)?;
        Ok(self.hold_request(owner, asked))
    }

    pub(crate) fn answer(&self, handle: i64, response: HttpResponse) -> Outcome {
        match self.take(handle).map(|taken| taken.held) {
            // A client that went away is no concern of who answers.
            Some(Held::Request(reply)) => {
                let _ = reply.send(response);
                Ok(Plain::Unit)
            }
            _ => Err(no_handle()),
        }
    }
}

async fn accept_connections(
    listener: TcpListener,
    requests: mpsc::Sender<(HttpRequest, oneshot::Sender<HttpResponse>)>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of files, most likely; some are closed soon.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let requests = requests.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(|request| answer_one(request, requests.clone()));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn plain_response(status: u16, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text.to_owned())));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    response
}

async fn answer_one(
    request: Request<Incoming>,
    requests: mpsc::Sender<(HttpRequest, oneshot::Sender<HttpResponse>)>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return Ok(plain_response(413, "the content is too large\n"));
    };
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let asked = HttpRequest {
        handle: 0,
        method: head.method.to_string(),
        url: head.uri.to_string(),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    };
    let (sender, receiver) = oneshot::channel();
    if requests.send((asked, sender)).await.is_err() {
        return Ok(plain_response(503, "the server is closed\n"));
    }
    // Whoever had the request ended without an answer.
    let Ok(answer) = receiver.await else { return Ok(plain_response(500, "the program gave no answer\n")) };
    let mut response = plain_response(answer.status, "");
    for (name, value) in &answer.headers {
        let name = hyper::header::HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, hyper::header::HeaderValue::from_str(value)) {
            response.headers_mut().append(name, value);
        }
    }
    *response.body_mut() = Full::new(Bytes::from(answer.body));
    Ok(response)
}

/// Sends a request and waits for the response; blocks.
pub(crate) fn send_request(request: HttpRequest) -> Outcome {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut building = ureq::http::Request::builder().method(request.method.as_str()).uri(&request.url);
    for (name, value) in &request.headers {
        building = building.header(name, value);
    }
    let sent = building.body(request.body).map_err(failed)?;
    let mut response = agent.run(sent).map_err(failed)?;
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let (headers, status) = (headers.collect(), response.status().as_u16());
    let body = response.body_mut().with_config().limit(BODY_BYTES_MAX as u64).read_to_vec().map_err(failed)?;
    Ok(Plain::Response(HttpResponse { status, headers, body: String::from_utf8_lossy(&body).into_owned() }))
}
